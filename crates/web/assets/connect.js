// The custom element <trunkline-connect>: the connect page as a part of an app's own page.
//
//   <trunkline-connect session-token="…" integration="twilio"></trunkline-connect>
//
// Attributes: `session-token`, the token of a connect session; `integration`, if only that one is wanted; `lang`; `theme`, light or dark.
// Events: `connect` with the detail {connectionId, providerConfigKey}, and `error` with {errorType, errorMessage}.

const server = new URL('.', import.meta.url);

class TrunklineConnect extends HTMLElement {
  static observedAttributes = ['session-token', 'integration'];

  #frame = null;
  #ready = false;
  #listen = (event) => this.#receive(event);

  connectedCallback() {
    // The property may have been set before this class was there.
    if (Object.hasOwn(this, 'sessionToken')) {
      const token = this.sessionToken;
      delete this.sessionToken;
      this.sessionToken = token;
    }
    window.addEventListener('message', this.#listen);
    this.#show();
  }

  disconnectedCallback() {
    window.removeEventListener('message', this.#listen);
    this.#frame?.remove();
    this.#frame = null;
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#frame || before === after) return;
    if (name === 'session-token' && after) this.#send();
    else this.#show();
  }

  get sessionToken() {
    return this.getAttribute('session-token');
  }

  set sessionToken(token) {
    if (token) this.setAttribute('session-token', token);
    else this.removeAttribute('session-token');
  }

  #show() {
    const address = new URL('connect', server);
    address.searchParams.set('display', 'inline');
    for (const [name, parameter] of [['integration', 'only'], ['lang', 'lang'], ['theme', 'theme']]) {
      if (this.hasAttribute(name)) address.searchParams.set(parameter, this.getAttribute(name));
    }
    const frame = document.createElement('iframe');
    frame.src = address.href;
    frame.title = this.getAttribute('title') ?? 'Connect';
    frame.style.cssText = 'display: block; width: 100%; min-height: 12rem; border: 0; background: transparent;';
    this.#ready = false;
    this.#frame?.remove();
    this.#frame = frame;
    this.style.display ||= 'block';
    this.append(frame);
  }

  #send() {
    if (this.#ready && this.sessionToken) {
      this.#frame.contentWindow.postMessage({ type: 'session_token', sessionToken: this.sessionToken }, server.origin);
    }
  }

  #receive(event) {
    if (!this.#frame || event.source !== this.#frame.contentWindow || event.origin !== server.origin) return;
    const { type, payload } = event.data ?? {};
    if (type === 'ready') {
      this.#ready = true;
      this.#send();
    } else if (type === 'resize' && Number.isFinite(payload?.height)) {
      this.#frame.style.height = `${Math.ceil(payload.height)}px`;
    } else if (type === 'connect' || type === 'error') {
      this.dispatchEvent(new CustomEvent(type, { detail: payload }));
    }
  }
}

if (!customElements.get('trunkline-connect')) customElements.define('trunkline-connect', TrunklineConnect);
