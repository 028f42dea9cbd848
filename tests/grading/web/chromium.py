"""Headless Chromium and the page in it."""

import base64
import shutil
from pathlib import Path

import cv2
import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
DRIVER = shutil.which("chromedriver")
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
         "--window-size=1280,1000")  # fmt: skip


def started(downloads: Path) -> webdriver.Chrome:
    """Headless Chromium that saves into `folder`, its attribute `downloads`, and keeps its logs."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in QUIET:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    driver.downloads = downloads
    return driver


class Page:
    """The page in a browser."""

    def __init__(self, driver, address: str):
        self.driver, self.address = driver, f"http://{address}"
        driver.get(self.address)
        self.until(lambda: self.all("#examples button"))

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def click(self, selector: str) -> None:
        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        # The notice at the top of the window may cover it.
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def until(self, condition) -> None:
        WebDriverWait(self.driver, 30).until(lambda _: condition())

    def choose(self, *files: Path) -> None:
        """Choose files, and wait for the result."""
        before = len(self.all(".film"))
        self.driver.find_element(By.ID, "files").send_keys("\n".join(map(str, files)))
        self.until(lambda: len(self.all(".film")) == before + len(files))
        self.until(lambda: not self.text("#status").startswith("Grading"))

    def drop(self, file: Path) -> None:
        """Drop a file on the page."""
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            place = {"type": kind, "x": 300, "y": 500, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", place)

    def pixels(self, number: int = 0) -> np.ndarray:
        """The pixels of a knee's canvas, `(height, width, 4)`."""
        url = self.driver.execute_script(
            "return document.querySelectorAll('canvas')[arguments[0]].toDataURL()", number
        )
        content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        return cv2.imdecode(content, cv2.IMREAD_UNCHANGED).astype(int)

    def downloaded(self, name: str) -> Path:
        path = self.driver.downloads / name
        self.until(path.exists)
        return path
