// Makes the connect page quicker: it shows the next page in place, filters while typing, and tells a page that embeds it how it went.
// The page works without this script, except inside another page.

const root = document.documentElement;
const framed = window.parent !== window;
const inline = framed && root.dataset.display === 'inline';

/** The number of the latest request for a page: what an earlier one brings is not shown. */
let latest = 0;
/** Whether a form was sent and its response is not there yet. Nothing else may replace the page meanwhile. */
let sending = false;
/** A token that arrived meanwhile. */
let waitingToken = null;

/** Sends a message to the embedding page. `frame-ancestors` allows only configured origins to embed this page. */
function tell(type, payload) {
  if (framed) window.parent.postMessage(payload ? { type, payload } : { type }, '*');
}

/** Reports the outcome that the page shows. */
function report(main) {
  const { event, connectionId, providerConfigKey, errorType, errorMessage } = main.dataset;
  if (event === 'connect') tell('connect', { connectionId, providerConfigKey });
  if (event === 'error') tell('error', { errorType, errorMessage });
}

/** Returns what was typed, by the names of the inputs. */
function typed() {
  return new Map([...document.querySelectorAll('.field input, .field select')].map((input) => [input.name, input.value]));
}

/**
 * Requests a page and shows it in place of this one. `body` sends a form; `values` are what was typed; `focus` moves the focus to the new page.
 * Returns false if a later request has replaced this one.
 */
async function load(address, { body, values = new Map(), focus = true } = {}) {
  const own = ++latest;
  const response = await fetch(address, body ? { method: 'POST', body } : undefined);
  const next = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (own !== latest) return false;
  const main = next.getElementById('main');
  if (!main) throw new Error('the response is not a page');
  document.title = next.title;
  root.lang = next.documentElement.lang;
  document.getElementById('main').replaceWith(main);
  for (const input of main.querySelectorAll('.field input:not([readonly]), .field select')) {
    if (values.get(input.name)) input.value = values.get(input.name);
  }
  prepare(main);
  if (focus) (main.querySelector('#problem') ?? main).focus();
  report(main);
  return true;
}

/** Shows the page at an address, in the browser's own way if that fails. */
async function follow(address, options) {
  const own = latest + 1;
  try {
    const shown = await load(address, options);
    if (shown && !framed && !options.isCurrent) history.pushState(null, '', address);
  } catch {
    if (own === latest) location.href = address;
  }
}

/** Says in the page that there was no response to the form. */
function sayNoResponse(form) {
  document.getElementById('problem')?.remove();
  const problem = document.createElement('div');
  problem.className = 'problem';
  problem.id = 'problem';
  problem.tabIndex = -1;
  problem.setAttribute('role', 'alert');
  const heading = document.createElement('h2');
  heading.textContent = form.dataset.problem;
  const sentence = document.createElement('p');
  sentence.textContent = form.dataset.noResponse;
  problem.append(heading, sentence);
  form.before(problem);
  problem.focus();
  tell('error', { errorType: 'unknown_error', errorMessage: form.dataset.noResponse });
}

/** Sends a form and shows the response in place. */
async function send(form, event) {
  event.preventDefault();
  if (sending) return;
  const button = form.querySelector('button.main');
  const status = document.getElementById('status');
  const body = new URLSearchParams(new FormData(form));
  body.set('scripted', '1');
  const text = button.textContent;
  sending = true;
  button.disabled = true;
  button.textContent = form.dataset.checking;
  status.textContent = form.dataset.checking;
  try {
    await load(form.action, { body, values: typed() });
  } catch {
    button.disabled = false;
    button.textContent = text;
    sayNoResponse(form);
  } finally {
    sending = false;
    status.textContent = '';
    if (waitingToken) open(waitingToken);
    waitingToken = null;
  }
}

/** Shows or hides what was typed into a secret field. */
function toggle(button) {
  const input = document.getElementById(button.dataset.shows);
  const show = input.type === 'password';
  input.type = show ? 'text' : 'password';
  button.textContent = show ? button.dataset.hide : button.dataset.show;
  button.setAttribute('aria-label', show ? button.dataset.hideLabel : button.dataset.showLabel);
}

/** Shows only the integrations that contain the text. */
function filter(input) {
  const wanted = input.value.trim().toLowerCase();
  const items = [...document.getElementById(input.dataset.filters).children];
  for (const item of items) item.hidden = !item.dataset.text.toLowerCase().includes(wanted);
  document.getElementById('nothing-found').hidden = items.some((item) => !item.hidden);
}

/** Asks for a field only while the field that it depends on has one of its values. */
function applyConditions(main) {
  for (const field of main.querySelectorAll('[data-when]')) {
    const other = main.querySelector(`[name="${CSS.escape(field.dataset.when)}"]`);
    field.hidden = !(other && JSON.parse(field.dataset.values).includes(other.value.trim()));
    for (const input of field.querySelectorAll('input, select')) input.disabled = field.hidden;
  }
}

/** Prepares a page for this script. */
function prepare(main) {
  for (const element of main.querySelectorAll('[data-without-script]')) element.hidden = true;
  for (const button of main.querySelectorAll('[data-shows]')) {
    button.hidden = false;
    button.addEventListener('click', () => toggle(button));
  }
  for (const input of main.querySelectorAll('.field input')) {
    // Copied values often have a space or a line break at their ends.
    input.addEventListener('paste', () => setTimeout(() => { input.value = input.value.trim(); }));
  }
  const search = main.querySelector('[data-filters]');
  search?.addEventListener('input', () => filter(search));
  search?.form.addEventListener('submit', (event) => event.preventDefault());
  main.addEventListener('input', () => applyConditions(main));
  applyConditions(main);
  for (const link of main.querySelectorAll('a[data-swap]')) {
    link.addEventListener('click', (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      if (!sending) follow(link.href, { values: 'keepValues' in link.dataset ? typed() : new Map() });
    });
  }
  const form = main.querySelector('form[data-swap]');
  form?.addEventListener('submit', (event) => send(form, event));
}

/** Opens the page with the token that the embedding page sends. Its focus stays where it is. */
function open(token) {
  const address = new URL(location.href);
  address.searchParams.set('session_token', token);
  follow(address.href, { focus: false });
}

/** Asks the embedding page to close this one. */
function close() {
  if (!sending) tell('close');
}

/** Talks to the embedding page. */
function embed() {
  root.dataset.framed = '';
  const button = document.getElementById('close');
  button.hidden = inline;
  button.addEventListener('click', close);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !inline && !event.isComposing && event.target.type !== 'search') close();
  });
  window.addEventListener('message', (event) => {
    const { type, sessionToken } = event.data ?? {};
    if (event.source !== window.parent || type !== 'session_token' || typeof sessionToken !== 'string') return;
    if (sending) waitingToken = sessionToken;
    else open(sessionToken);
  });
  // The height of the content: that of the document is at least the frame's.
  new ResizeObserver(() => tell('resize', { height: document.body.scrollHeight })).observe(document.body);
  tell('ready');
}

const main = document.getElementById('main');
prepare(main);
report(main);
if (framed) embed();
else delete root.dataset.display;
window.addEventListener('popstate', () => {
  if (!sending) follow(location.href, { isCurrent: true });
});
