// One graded film on the page: its knees, the attention over them, and the predicted grades.
const GRADES = ["none", "doubtful", "mild", "moderate", "severe"];
const SIDES = { R: "Right knee", L: "Left knee" };
const DRAWN_HEIGHT = 960;

const sideOf = (row) => SIDES[row.side] ?? "Knee, side unknown";
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
  if (rows.some((row) => row.turned)) remarks.unshift("The film is a photographic negative; it was inverted before grading");
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
  for (const row of rows) {
    const knee = kneeSection(row);
    knee.querySelector("figcaption").hidden = !hasAttention;
    part(".knees").append(knee);
    canvases.push({ canvas: knee.querySelector("canvas"), row, ...await pictures(row) });
  }
  const show = () => {
    const opacity = Number(part(".opacity").value);
    const zoom = Number(part(".zoom").value);
    part(".opacity-shown").value = `${opacity}%`;
    part(".zoom-shown").value = `${zoom / 100}×`;
    for (const drawn of canvases) {
      draw(drawn, part(".branch").value, opacity / 100, part(".box").checked);
      enlarge(drawn.canvas, zoom);
    }
  };
  for (const kind of ["input", "change"]) part(".tools").addEventListener(kind, show);
  part(".tools").addEventListener("submit", (event) => event.preventDefault());
  show();
  return article;
}

async function pictures(row) {
  const decode = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return createImageBitmap(new Blob([bytes], { type: "image/png" }));
  };
  const masks = {};
  for (const [branch, mask] of Object.entries(row.masks)) masks[branch] = await decode(mask);
  return { film: await decode(row.picture), masks };
}

// A box is [x, y, width, height] in pixels of the picture.
function draw({ canvas, row, film, masks }, branch, opacity, withBox) {
  const scale = Math.max(1, DRAWN_HEIGHT / film.height);
  canvas.width = Math.round(film.width * scale);
  canvas.height = Math.round(film.height * scale);
  canvas.parentElement.style.setProperty("--shape", film.width / film.height);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(film, 0, 0, canvas.width, canvas.height);
  if (branch) {
    pen.globalAlpha = opacity; // multiplied by the mask's own alpha, 0 where attention is lowest
    pen.drawImage(masks[branch], 0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 1;
  }
  if (row.box_in_picture && withBox) {
    pen.strokeStyle = "#4fd1ff";
    pen.lineWidth = canvas.width / 150;
    pen.strokeRect(...row.box_in_picture.map((value) => value * scale));
  }
  const attention = branch ? `, with the attention of ${branch} at ${percent(opacity)} over it` : "";
  canvas.setAttribute("aria-label", `${sideOf(row)}, graded KL ${row.grade}${attention}`);
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
  part(".viewport").setAttribute("aria-label", `${sideOf(row)}, scrolls when enlarged`);
  part(".grade strong").textContent = `KL ${row.grade}`;
  part(".grade span").textContent = meaningOf(row);
  if (row.coverage) {
    const { lowest, highest } = row;
    part(".set").hidden = false;
    part(".set dt").textContent = `Set that holds ${percent(row.coverage)} of such knees`;
    part(".set dd").textContent = lowest === highest ? `KL ${lowest}` : `KL ${lowest} to ${highest}`;
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
