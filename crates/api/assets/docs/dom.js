// Makes elements. Text is always text: nothing that the document or a server says becomes markup.

/** An element; an attribute that is a function listens to the event of its name, one that is null or false is left out. */
export function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Text with `code` in backticks, as descriptions have it. */
export function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
}

/** A description: its paragraphs. */
export function paragraphs(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((part) => h("p", null, prose(part)));
}

/** A button that copies what `text()` gives. */
export function copyButton(text) {
  const button = h("button", { type: "button", class: "copy", click: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      // Without https a browser gives no clipboard to a page.
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
  return button;
}
