// One graded film on the page: its knees, the attention over them, and the predicted grades.
import { draw, openLarge, pictures, sideOf } from "./knee.js";

const GRADES = ["none", "doubtful", "mild", "moderate", "severe"];

const percent = (share) => `${Math.round(100 * share)}%`;

// The grade's name; or "between 1 and 2" if the probability of osteoarthritis says otherwise.
const meaningOf = (row) => row.between ? `between ${row.between.join(" and ")}` : GRADES[row.grade];

export function inWords(row) {
  return `${sideOf(row).toLowerCase()} KL ${row.grade}, ${meaningOf(row)}`;
}

function fromTemplate(id) {
  return document.getElementById(id).content.cloneNode(true).firstElementChild;
}

export function refusedFilm(name, reason) {
  const article = fromTemplate("refused");
  article.querySelector(".name").textContent = name;
  article.querySelector(".reason").textContent = `Not graded: ${reason}.`;
  return article;
}

export async function knownFilm(name, rows, downloads) {
  const article = fromTemplate("film");
  const part = (selector) => article.querySelector(selector);
  part(".name").textContent = name;
  const remarks = rows.filter((row) => row.look_again).map((row) =>
    `${sideOf(row)}: ${row.unlike ? "unlike the training knees, " : ""}look again`);
  if (rows.some((row) => row.pixel_aspect !== 1)) remarks.unshift("The pixels are not square; the film was resampled before grading");
  if (rows.some((row) => row.trimmed)) remarks.unshift("A uniform border was cropped off before grading");
  if (rows.some((row) => row.inverted)) remarks.unshift("The film is a photographic negative; it was inverted before grading");
  part(".remark").textContent = remarks.join(". ");
  part(".remark").hidden = remarks.length === 0;
  const { chosen, masks } = rows[0];
  for (const branch of Object.keys(masks)) {
    part(".branch").append(new Option(branch, branch, branch === chosen, branch === chosen));
  }
  const hasAttention = Object.keys(masks).length > 0; // a baseline has none
  for (const control of [".branch", ".opacity"]) part(control).parentElement.hidden = !hasAttention;
  part(".boxes").hidden = !rows.some((row) => row.box_in_picture);
  part(".downloads").append(...downloads);

  const canvases = [];
  const chosenLook = () => ({
    branch: part(".branch").value, opacity: Number(part(".opacity").value),
    withBox: part(".box").checked,
  });
  for (const row of rows) {
    const knee = kneeSection(row);
    const drawn = { canvas: knee.querySelector("canvas"), knee, row, ...await pictures(row) };
    knee.querySelector("figcaption").hidden = !hasAttention;
    knee.querySelector(".enlarge").addEventListener("click", () => {
      openLarge(drawn, `${name}: ${inWords(row)}`, chosenLook());
    });
    part(".knees").append(knee);
    canvases.push(drawn);
  }
  const show = () => {
    const look = chosenLook();
    const zoom = Number(part(".zoom").value);
    part(".opacity-shown").value = `${look.opacity}%`;
    part(".zoom-shown").value = `${zoom / 100}×`;
    for (const drawn of canvases) {
      draw(drawn.canvas, drawn, look);
      showRange(drawn, look.branch);
      enlarge(drawn.canvas, zoom);
    }
  };
  for (const kind of ["input", "change"]) part(".tools").addEventListener(kind, show);
  part(".tools").addEventListener("submit", (event) => event.preventDefault());
  show();
  return article;
}

function showRange({ knee, row }, branch) {
  const range = row.attention[branch];
  if (!range) return; // a baseline has no attention
  knee.querySelector(".lowest").textContent = range.lowest.toFixed(2);
  knee.querySelector(".highest").textContent = range.highest.toFixed(2);
  knee.querySelector(".flat").textContent = range.nearly_flat
    ? `The attention of ${branch} is nearly flat.` : `Attention of ${branch}`;
}

// Zooms around the centre of the view.
function enlarge(canvas, zoom) {
  const view = canvas.parentElement;
  const before = view.scrollWidth || 1;
  const middle = [view.scrollLeft + view.clientWidth / 2, view.scrollTop + view.clientHeight / 2];
  canvas.style.width = `${zoom}%`;
  const grown = view.scrollWidth / before;
  view.scrollTo(middle[0] * grown - view.clientWidth / 2, middle[1] * grown - view.clientHeight / 2);
}

function kneeSection(row) {
  const section = fromTemplate("knee");
  const part = (selector) => section.querySelector(selector);
  part(".side").textContent = sideOf(row);
  part(".enlarge").setAttribute("aria-label", `Large view, ${sideOf(row).toLowerCase()}`);
  part(".viewport").setAttribute("aria-label", `${sideOf(row)}, scrolls when enlarged`);
  part(".grade strong").textContent = `KL ${row.grade}`;
  part(".grade span").textContent = meaningOf(row);
  if (row.coverage) {
    const { lowest, highest } = row;
    part(".set").hidden = false;
    part(".set dt").textContent = `Prediction set, ${percent(row.coverage)}`;
    part(".set dd").textContent = lowest === highest ? `KL ${lowest}` : `KL ${lowest}–${highest}`;
  }
  part(".osteoarthritis").textContent = percent(row.oa_probability);
  part(".expected").textContent = row.expected_grade.toFixed(2);
  part(".chosen").textContent = row.chosen;
  for (const grade of GRADES.keys()) {
    const heading = document.createElement("th");
    heading.scope = "col";
    heading.textContent = `KL ${grade}`;
    part("thead tr").append(heading);
  }
  const outputs = Object.keys(row).filter((key) => key.endsWith("_p0")).map((key) => key.slice(0, -3));
  part("tbody").append(...outputs.map((output) => probabilities(row, output)));
  return section;
}

function probabilities(row, output) {
  const line = document.createElement("tr");
  const heading = document.createElement("th");
  heading.scope = "row";
  heading.textContent = output;
  line.classList.toggle("chosen", output === row.chosen);
  line.append(heading);
  const shares = GRADES.map((_, grade) => row[`${output}_p${grade}`]);
  for (const share of shares) {
    const cell = document.createElement("td");
    const bar = document.createElement("span");
    const filled = document.createElement("i");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    filled.style.height = `${100 * share}%`;
    bar.append(filled);
    cell.append(bar, String(Math.round(100 * share)));
    cell.classList.toggle("highest", share === Math.max(...shares));
    line.append(cell);
  }
  return line;
}
