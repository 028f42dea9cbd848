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
