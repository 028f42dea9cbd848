// Drawing a knee on a canvas: its film, the attention over it, and the box of the crop.
const SIDES = { R: "Right knee", L: "Left knee" };
const DRAWN_HEIGHT = 960;

export const sideOf = (row) => SIDES[row.side] ?? "Knee, side unknown";

export async function pictures(row) {
  const decode = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return createImageBitmap(new Blob([bytes], { type: "image/png" }));
  };
  const masks = {};
  for (const [branch, mask] of Object.entries(row.masks)) masks[branch] = await decode(mask);
  return { film: await decode(row.picture), masks };
}

// Draws a knee's film, or another picture of its size, with its attention and its box.
// A box is [x, y, width, height] in pixels of the picture.
export function draw(canvas, { row, film, masks }, { branch, opacity, withBox }, picture = film) {
  const scale = Math.max(1, DRAWN_HEIGHT / film.height);
  canvas.width = Math.round(film.width * scale);
  canvas.height = Math.round(film.height * scale);
  canvas.parentElement.style.setProperty("--shape", film.width / film.height);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (branch) {
    pen.globalAlpha = opacity / 100; // multiplied by the mask's own alpha, 0 where attention is lowest
    pen.drawImage(masks[branch], 0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 1;
  }
  if (row.box_in_picture && withBox) {
    pen.strokeStyle = "#4fd1ff";
    pen.lineWidth = canvas.width / 150;
    pen.strokeRect(...row.box_in_picture.map((value) => value * scale));
  }
  const attention = branch ? `, with the attention of ${branch} at ${opacity}% over it` : "";
  canvas.setAttribute("aria-label", `${sideOf(row)}, graded KL ${row.grade}${attention}`);
}

// The large view of one knee: the film beside the overlay, with window and level.
const WHOLE = { window: 255, level: 128 }; // the grey levels as they are
const dialog = document.getElementById("large");
const part = (selector) => dialog.querySelector(selector);
let shown = null; // the knee in the view
let dragged = null; // where a drag started, and the window and level there

export function openLarge(knee, title, { branch, opacity }) {
  shown = knee;
  const branches = Object.keys(knee.masks);
  part("h2").textContent = title;
  part(".branch").replaceChildren(...branches.map((name) => new Option(name, name)));
  part(".branch").value = branch;
  part(".opacity").value = opacity;
  for (const control of [".branch", ".opacity"]) part(control).parentElement.hidden = !branches.length;
  part(".overlaid").hidden = !branches.length;
  setWindow(WHOLE);
  dialog.showModal();
}

function setWindow({ window, level }) {
  part(".window").value = window;
  part(".level").value = level;
  show();
}

function show() {
  const [window, level] = [Number(part(".window").value), Number(part(".level").value)];
  part(".window-shown").value = window;
  part(".level-shown").value = level;
  const picture = windowed(shown.film, window, level);
  draw(part(".plain"), shown, {}, picture);
  if (!shown.masks[part(".branch").value]) return;
  const look = { branch: part(".branch").value, opacity: Number(part(".opacity").value) };
  draw(part(".overlaid"), shown, look, picture);
}

// Grey levels of the window become 0 to 255 (PS3.3 C.11.2.1.2); those outside are clipped.
function windowed(film, window, level) {
  const canvas = new OffscreenCanvas(film.width, film.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(film, 0, 0);
  if (window === WHOLE.window && level === WHOLE.level) return canvas;
  const image = pen.getImageData(0, 0, film.width, film.height);
  const grey = Uint8ClampedArray.from({ length: 256 }, (_, value) =>
    255 * ((value - level) / window + 0.5));
  for (let at = 0; at < image.data.length; at += 4) {
    image.data.fill(grey[image.data[at]], at, at + 3);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

for (const kind of ["input", "change"]) part(".tools").addEventListener(kind, show);
part(".tools").addEventListener("submit", (event) => event.preventDefault());
part(".reset").addEventListener("click", () => setWindow(WHOLE));
part(".close").addEventListener("click", () => dialog.close());
const pair = part(".pair");
pair.addEventListener("pointerdown", (event) => {
  pair.setPointerCapture(event.pointerId);
  dragged = { x: event.clientX, y: event.clientY, window: Number(part(".window").value),
    level: Number(part(".level").value) };
});
pair.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  setWindow({ window: dragged.window + event.clientX - dragged.x,
    level: dragged.level + (event.clientY - dragged.y) / 2 });
});
for (const kind of ["pointerup", "pointercancel"]) {
  pair.addEventListener(kind, () => { dragged = null; });
}
