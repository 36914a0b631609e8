// The spots of an answer: its lines, the cells of its tables and its values, each with its place.

import { doubtOfLine, doubtOfPart, doubtOfValue } from "./text/doubts.js";

/** Return the key of the sheet that something stands on; null where that is not known. */
const sheetOf = ({ image, page }) => (page ? `page-${page}` : Number.isInteger(image) ? `image-${image}` : null);

/**
 * Return a spot for each line, and for each cell of a row: {id, says, line, cell?, text, sheet,
 * corners, doubt}. `id` is its JSON pointer in the output and `says` that of its text; `corners` is
 * null where the place is not known; `cell` is the number of the column.
 */
export function spotsOfLines(lines) {
  return lines.flatMap((line, number) => (line.cells ? cellsOf(line, number) : [lineSpot(line, number)]));
}

function lineSpot(line, number) {
  const id = `/lines/${number}`;
  return { id, says: `${id}/text`, line: number, text: line.text, ...placeOf(line), doubt: doubtOfLine(line) };
}

function cellsOf(line, number) {
  const doubt = doubtOfLine(line);
  let from = 0;
  return line.cells.map((cell, column) => {
    const own = doubtOfPart(line, doubt, cell.text, from);
    from = Math.max(from, line.text.indexOf(cell.text, from) + cell.text.length);
    // a cell whose own place is not known stands somewhere in its row
    const place = placeOf(cell.box ? { ...line, box: cell.box, polygon: null } : line);
    const id = `/lines/${number}/cells/${column}`;
    return { id, says: `${id}/text`, line: number, cell: column, text: cell.text, ...place, doubt: own };
  });
}

/** Return a spot for each value of a JSON answer; what is missing has no place, and no evidence. */
export function spotsOfValues(values, evidence) {
  return values
    .filter(({ value }) => value === null || typeof value !== "object")
    .map(({ pointer, value, text }) => {
      const [known, id] = [evidence?.[pointer] ?? {}, `/json${pointer}`];
      return { id, says: id, value, text, ...placeOf(known), doubt: doubtOfValue(text, known), status: known.status };
    });
}

/** Return a spot for each place where something that was looked for was seen. */
export function spotsOfObjects(objects) {
  return objects.map((object, number) => ({ id: `/objects/${number}`, says: null, text: object.label, ...placeOf(object), doubt: null, seen: object.text }));
}

function placeOf({ box, polygon, image, page }) {
  if (!box) return { sheet: null, corners: null };
  const [left, top, right, bottom] = box;
  const upright = [[left, top], [right, top], [right, bottom], [left, bottom]];
  return { sheet: sheetOf({ image, page }), corners: polygon ?? upright };
}
