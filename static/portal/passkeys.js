// Passkeys: the forms marked with data-passkey ask the browser and post its answer. Without scripts they stay hidden.
(function () {
  "use strict";

  function bytes(text) {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  }

  function text(buffer) {
    let plain = "";
    for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function named(list) {
    return (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
  }

  function answered(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response: response,
      authenticatorAttachment: credential.authenticatorAttachment,
      clientExtensionResults: credential.getClientExtensionResults()
    };
  }

  async function add(options, isPasswordless) {
    const wanted = options.creation_options.publicKey;
    const key = {
      ...wanted, challenge: bytes(wanted.challenge), user: { ...wanted.user, id: bytes(wanted.user.id) },
      excludeCredentials: named(wanted.excludeCredentials),
      authenticatorSelection: {
        ...wanted.authenticatorSelection,
        residentKey: isPasswordless ? "required" : "discouraged", requireResidentKey: isPasswordless,
        userVerification: isPasswordless ? "required" : "preferred"
      }
    };
    return answered(await navigator.credentials.create({ publicKey: key }));
  }

  async function use(options) {
    const wanted = options.request_options.publicKey;
    const key = {
      ...wanted, challenge: bytes(wanted.challenge), allowCredentials: named(wanted.allowCredentials)
    };
    return answered(await navigator.credentials.get({ publicKey: key }));
  }

  async function options(form) {
    const kept = document.getElementById("passkey-options");
    if (kept) return JSON.parse(kept.textContent);
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error("The portal did not answer; try again in a minute.");
    return answer.json();
  }

  function reason(error) {
    if (error.name === "NotAllowedError") return "No passkey was chosen, or it took too long. Try once more.";
    if (error.name === "InvalidStateError") return "This device has a passkey for you already.";
    return error.message;
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    const button = form.querySelector("button[type=button]");
    const trouble = form.querySelector("[data-passkey-trouble]");
    form.hidden = false;
    button.hidden = false;
    const ask = async function () {
      trouble.hidden = true;
      button.disabled = true;
      try {
        const known = await options(form);
        const isPasswordless = form.elements.passwordless && form.elements.passwordless.checked;
        const answer = form.dataset.passkey === "add" ? await add(known, isPasswordless) : await use(known);
        form.elements.credential.value = JSON.stringify(answer);
        form.submit();
      } catch (error) {
        trouble.textContent = reason(error);
        trouble.hidden = false;
        button.disabled = false;
      }
    };
    button.addEventListener("click", ask);
    form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  }
})();
