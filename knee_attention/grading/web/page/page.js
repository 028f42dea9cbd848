// The page's logic: it takes films, sends them to the server, and shows progress and answers.
import { knownFilm, refusedFilm, inWords } from "./film.js";

const byId = (id) => document.getElementById(id);
const rows = [];
const waiting = [];
const MOST_SENTENCES = 5;
const RETRY = 3000; // milliseconds until a server that does not answer is asked again
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/; // as in files.py
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SUFFIX = /\.(png|jpe?g|webp|tiff?|bmp|dcm|dicom)$/i; // not the last number of a UID
let clears = 0; // how often the page was cleared
let model = null;
let working = false;

function say(sentence) {
  byId("status").textContent = sentence;
}

async function ask(file, form) {
  const query = new URLSearchParams({ name: file.name, as: form });
  let answer;
  try {
    answer = await fetch(`/grade?${query}`, {
      method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
    });
  } catch {
    throw new Error("the server does not answer, or the file can no longer be read");
  }
  if (answer.ok) return answer;
  const content = await answer.json().catch(() => ({}));
  throw new Error(content.error || `the server answered ${answer.status}`);
}

// Shows a graded film below the others; `said` holds the sentences about the films before it.
async function grade(file, said) {
  const clearsBefore = clears;
  const show = (article, more) => {
    if (clearsBefore !== clears) return;
    byId("films").append(article);
    rows.push(...more);
    if (!said.length) article.scrollIntoView();
  };
  try {
    if (model && file.size > model.most_bytes) {
      throw new Error(`the file is larger than ${model.most_bytes / 1e6} MB`);
    }
    const knees = await (await ask(file, "view")).json();
    const article = await knownFilm(file.name, knees, await downloadsOf(file));
    // The table does not need the pictures.
    show(article, knees.map(({ picture, masks, box_in_picture, attention, ...row }) => row));
    return `${file.name}: ${knees.map(inWords).join(", ")}.`;
  } catch (error) {
    show(refusedFilm(file.name, error.message), [{ file: file.name, error: error.message }]);
    return `${file.name} was not graded: ${error.message}.`;
  }
}

async function downloadsOf(file) {
  const forms = { png: ["Picture (PNG)", "png"] };
  if (await isDicom(file)) forms.dicom = ["Report (DICOM)", "zip"];
  return Object.keys(forms).filter((form) => model?.forms.includes(form)).map((form) => {
    const button = document.createElement("button");
    const [text, suffix] = forms[form];
    button.type = "button";
    button.className = form;
    button.textContent = text;
    button.addEventListener("click", async () => {
      button.closest(".film").querySelector(".tools + .remark")?.remove();
      try {
        const content = await (await ask(file, form)).blob();
        download(content, `${file.name.replace(SUFFIX, "")}_graded.${suffix}`);
      } catch (error) {
        const remark = { className: "remark", role: "alert", textContent: `${text}: ${error.message}.` };
        button.closest(".tools").after(Object.assign(document.createElement("p"), remark));
      }
    });
    return button;
  });
}

// Only a DICOM file names the patient and the study that a report needs.
async function isDicom(file) {
  return (await file.slice(128, 132).text()) === "DICM";
}

async function take(files) {
  waiting.push(...files);
  if (working) return;
  working = true;
  await loaded;
  let sentences = [];
  while (waiting.length) {
    const clearsBefore = clears;
    const answers = (await fetch("/health").catch(() => null))?.ok;
    if (answers && !model) await load().catch(() => null);
    if (clearsBefore === clears && answers) {
      const file = waiting.shift();
      say(`Grading ${file.name}${waiting.length ? `, ${waiting.length} more` : ""} …`);
      byId("clear").disabled = false;
      const sentence = await grade(file, sentences);
      if (clearsBefore === clears) {
        sentences.push(sentence);
        byId("table").disabled = false;
      }
    } else if (clearsBefore === clears) {
      model = null; // another model may come back
      say(`The server does not answer; ${waiting.length} waiting.`);
      byId("clear").disabled = false;
      await new Promise((done) => setTimeout(done, RETRY));
    }
    if (clearsBefore !== clears) sentences = [];
  }
  if (sentences.length > MOST_SENTENCES) {
    const refused = sentences.filter((sentence) => sentence.includes(" was not graded: "));
    const named = refused.slice(0, MOST_SENTENCES).join(" ");
    say(`${sentences.length - refused.length} files graded, ${refused.length} refused. ${named}`);
  } else if (sentences.length) {
    say(sentences.join(" "));
  }
  working = false;
}

async function example(address, name) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) {
    say("The server does not answer.");
    return;
  }
  const content = await answer.blob();
  await take([new File([content], name)]);
}

async function load() {
  const answer = await fetch("/model").catch(() => null);
  if (!answer?.ok) {
    byId("model").textContent = "The server does not answer. See the terminal where it was started.";
    return;
  }
  model = await answer.json();
  for (const id of ["outputs", "knees", "examples"]) byId(id).replaceChildren();
  const [height, width] = model.image_size;
  byId("model").textContent = `${model.name ?? "A model without a name"}, grades by ${model.chosen}` +
    (model.decide === "probable" ? "" : ` with the rule ${model.decide}`) +
    (model.calibrated ? `, calibrated on ${model.calibrated}` : "") + ", " +
    `${height}×${width} pixels. ${accuracy()}knee_attention ${model.version}. `;
  if (model.card) {
    const card = document.createElement("a");
    card.href = model.card;
    card.target = "_blank"; // the results on this page stay
    card.textContent = "Model card";
    byId("model").append(card);
  }
  for (const [output, meaning] of Object.entries(model.meanings)) {
    const pair = document.createElement("div");
    for (const [tag, text] of [["dt", output], ["dd", meaning]]) {
      pair.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    byId("outputs").append(pair);
  }
  byId("synthetic").hidden = !model.synthetic;
  for (const { address, grades, synthetic } of model.examples) {
    const item = byId("example").content.cloneNode(true);
    const button = item.querySelector("button");
    button.textContent = synthetic ? `drawn as KL ${grades[0]} and ${grades[1]}` : `KL ${grades[0]}`;
    const name = synthetic ? `synthetic_KL${grades.join("_KL")}.png` : address.split("/").pop();
    button.addEventListener("click", () => example(address, name));
    byId(synthetic ? "examples" : "knees").append(item);
  }
}

function accuracy() {
  const found = model.validation;
  if (!found) return "";
  const knees = `${model.results.knees} ${model.synthetic ? "synthetic " : ""}${model.results.split} knees`;
  const kappa = found.kappa_quadratic?.toFixed(2);
  return `Accuracy ${Math.round(100 * found.accuracy)}%${kappa ? `, quadratic kappa ${kappa},` : ""} on ${knees}. `;
}

function listen() {
  byId("files").addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  byId("table").addEventListener("click", () => {
    download(new Blob([table(rows)], { type: "text/csv" }), "grades.csv");
  });
  byId("clear").addEventListener("click", () => {
    clears += 1;
    byId("films").replaceChildren();
    rows.length = waiting.length = 0;
    byId("table").disabled = byId("clear").disabled = true;
    say("Cleared.");
    byId("files").focus();
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const dropped = [...event.dataTransfer.items].map((item) => {
      const entry = item.webkitGetAsEntry?.();
      if (entry?.isDirectory) return filesIn(entry);
      return item.kind === "file" ? [item.getAsFile()] : [];
    });
    try {
      take((await Promise.all(dropped)).flat());
    } catch (error) {
      say(`A dropped folder cannot be read, so no dropped file is graded: ${error.message}`);
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (rows.length || waiting.length) event.preventDefault(); // the browser asks before the results are lost
  });
}

// The files below a dropped folder, by their paths; hidden ones are left out.
async function filesIn(folder) {
  const [reader, files] = [folder.createReader(), []];
  for (;;) { // a reader lists some entries at a time
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return files.sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const entry of entries.filter(({ name }) => !name.startsWith("."))) {
      if (entry.isDirectory) {
        files.push(...await filesIn(entry));
      } else {
        const file = await new Promise((done, failed) => entry.file(done, failed));
        files.push(new File([file], entry.fullPath.slice(1)));
      }
    }
  }
}

listen();
const loaded = load();

// Downloads: the table has the columns of `knee-attention grade --csv`.
function table(films) {
  const rows = films.map(flat);
  const names = new Set(rows.flatMap(Object.keys)); // another model may have been served before
  const columns = [...names].filter((name) => name !== "error").concat("error");
  const lines = rows.map((row) => columns.map((name) => cell(row[name])).join(","));
  return [columns.join(","), ...lines, ""].join("\r\n");
}

// A row whose box is four columns.
function flat(row) {
  return Object.fromEntries(Object.entries(row).flatMap(([name, value]) => name !== "box"
    ? [[name, value]]
    : ["left", "top", "width", "height"].map((part, place) => [`box_${part}`, value?.[place]])));
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  let text = Array.isArray(value) ? value.join(" ") : String(value);
  if (typeof value === "string" && FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
