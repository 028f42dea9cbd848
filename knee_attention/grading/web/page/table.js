// Downloads: the table has the columns of `knee-attention grade --csv`.
export function table(films) {
  const rows = films.map(flat);
  const graded = rows.find((row) => !row.error) ?? { file: "" };
  const columns = [...Object.keys(graded), "error"];
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
  const text = Array.isArray(value) ? value.join(" ") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
