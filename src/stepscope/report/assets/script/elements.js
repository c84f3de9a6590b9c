// making HTML and SVG elements, and writing numbers

const $ = id => document.getElementById(id);
const SVG = $("mark").namespaceURI;

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "style") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(child => child !== null));
  return node;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const percent = value => `${Math.round(100 * value)}%`;
const short = value => Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 9.95 ? value.toFixed(1) : value.toFixed(2);
const colour = candidate => `var(--candidate-${candidate % 6})`;
