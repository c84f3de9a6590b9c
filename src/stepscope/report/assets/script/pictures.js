// one sheet a step, cut into frames; all frames of a step laid over each other

const images = new Map();
/* By the image's own event and not decode(): the window's load event waits for it, so at load the page is drawn. */
function load(uri) {
  if (!images.has(uri)) {
    images.set(uri, new Promise((done, failed) => {
      const image = new Image();
      image.onload = () => done(image);
      image.onerror = failed;
      image.src = uri;
    }));
  }
  return images.get(uri);
}
const loaded = { sheets: [], solutions: [], first: null };
async function loadRun() {
  const t = trace();
  loaded.sheets = await Promise.all(t.sheets.map(load));
  loaded.solutions = await Promise.all(t.solutions.map(solution => load(solution.sheet)));
  loaded.first = await load(t.first_frame);
}

function drawFrame(canvas, sheet, column) {
  const { width, height, columns } = trace();
  const context = canvas.getContext("2d");
  const enlarged = canvas.width >= width;
  context.imageSmoothingEnabled = !enlarged || width >= 160;
  context.imageSmoothingQuality = "high";
  const left = (column % columns) * width, top = Math.floor(column / columns) * height;
  context.drawImage(sheet, left, top, width, height, 0, 0, canvas.width, canvas.height);
}

function sized(canvas, cssWidth) {
  const t = trace(), ratio = Math.max(window.devicePixelRatio || 1, 1);
  canvas.width = Math.round(cssWidth * ratio);
  canvas.height = Math.round(canvas.width * t.height / t.width);
  return canvas;
}

/* All frames in one picture: each pixel is taken from the frame in which it differs most from the first frame. */
const overlays = new Map();
function overlay(sheet) {
  if (overlays.has(sheet)) return overlays.get(sheet);
  const t = trace(), size = t.width * t.height * 4;
  const canvas = el("canvas", { width: t.width, height: t.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const read = column => { drawFrame(canvas, sheet, column); return context.getImageData(0, 0, t.width, t.height); };
  const first = read(0).data, out = context.createImageData(t.width, t.height), most = new Int32Array(size / 4).fill(-1);
  t.frames.forEach((_, column) => {
    const pixels = read(column).data;
    for (let i = 0, p = 0; i < size; i += 4, p += 1) {
      const change = Math.abs(pixels[i] - first[i]) + Math.abs(pixels[i + 1] - first[i + 1]) + Math.abs(pixels[i + 2] - first[i + 2]);
      if (change <= most[p]) continue;
      most[p] = change;
      out.data.set(pixels.subarray(i, i + 4), i);
    }
  });
  context.putImageData(out, 0, 0);
  overlays.set(sheet, canvas);
  return canvas;
}
function drawWhole(canvas, picture) {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = canvas.width < picture.width || picture.width >= 160;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}
