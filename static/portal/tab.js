// The tab inside ConnectWise. Talks with the page around it (JSON texts, from and to known origins only) and with the
// portal; what it holds is in memory and gone with the page.
(function () {
  "use strict";

  var place = document.getElementById("tab");
  var parents = place.dataset.parents.split(" ");
  var here = window.location.pathname.replace(/\/$/, "");
  var around = null;   // the origin that spoke first
  var frame = null;    // the id that the page around gave us
  var member = null;
  var company = null;
  var ticket = "";
  var next = null;     // what is done as soon as member and company are known
  var patience = 0;
  var tries = 0;

  function say(message, origin) { window.parent.postMessage(JSON.stringify(message), origin); }

  function ask(name) { say({ hosted_request: name, frameID: frame }, around); }

  function likely() {
    var known = window.location.ancestorOrigins;
    if (!known || !known.length) { return parents; }
    return parents.filter(function (origin) { return origin === known[0]; });
  }

  window.addEventListener("message", function (event) {
    if (event.source !== window.parent || parents.indexOf(event.origin) < 0) { return; }
    if (around && event.origin !== around) { return; }
    var said;
    try { said = JSON.parse(event.data); } catch (error) { return; }
    if (!said || typeof said !== "object") { return; }
    if (said.MessageFrameID) {
      if (frame) { return; }
      around = event.origin;
      frame = said.MessageFrameID;
      meet(function () { post("/enter", {}); });
    } else if (said.event && frame) {
      say({ event: said.event, _id: said._id, result: "success", frameID: frame }, around);
    } else if (said.response === "getmemberauthentication") {
      member = said.data;
      proceed();
    } else if (said.response === "getscreenobject") {
      company = said.data;
      proceed();
    }
  });

  // Ask the page around who looks at what, then do it.
  function meet(what) {
    member = company = null;
    next = what;
    clearTimeout(patience);
    patience = setTimeout(function () { tell("ConnectWise does not say who you are.", "Reload the page."); }, 10000);
    ask("getMemberAuthentication");
    ask("getScreenObject");
  }

  function proceed() {
    if (!member || !company || !next) { return; }
    var what = next;
    next = null;
    clearTimeout(patience);
    what();
  }

  function post(where, more) {
    var body = Object.assign({
      companyid: member.companyid,
      memberid: member.memberid,
      memberHash: member.memberHash,
      screen: company.screen,
      id: company.id
    }, more);
    send(where, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) },
      function () { meet(function () { post(where, more); }); });
  }

  function refresh() {
    send("/panel", { headers: { Authorization: "Tab " + ticket } }, refresh);
  }

  function send(where, options, again) {
    place.setAttribute("aria-busy", "true");
    options.credentials = "omit";
    options.cache = "no-store";
    options.referrerPolicy = "no-referrer";
    fetch(here + where, options).then(function (answer) {
      return answer.json().then(function (data) {
        if (answer.ok) { tries = 0; show(data); return; }
        if (data.is_over) { meet(function () { post("/enter", {}); }); return; }
        if (data.again_in && tries < 5) { tries += 1; setTimeout(again, data.again_in * 1000); return; }
        tell(data.error || "The portal refused this.", data.advice || "");
      });
    }).catch(function () { tell("The portal does not answer.", "Open the tab again later."); });
  }

  function show(data) {
    if (data.ticket) { ticket = data.ticket; }
    place.removeAttribute("aria-busy");
    place.innerHTML = data.html;  // made by the portal, everything in it escaped there
    var button = place.querySelector("[data-refresh]");
    if (button) { button.addEventListener("click", refresh); }
    var form = place.querySelector("form[data-map]");
    if (form) { form.addEventListener("submit", map); }
  }

  function map(event) {
    event.preventDefault();
    var form = event.target;
    var other = form.elements.other ? form.elements.other.value : "";
    var picked = form.querySelector("input[name=client]:checked");
    var client = other || (picked ? picked.value : "");
    if (!client) { (form.querySelector("input, select") || form).focus(); return; }
    meet(function () { post("/map", { client: client }); });
  }

  function tell(text, advice) {
    place.removeAttribute("aria-busy");
    var note = document.createElement("div");
    note.className = "note note-warn";
    note.setAttribute("role", "alert");
    var strong = document.createElement("strong");
    strong.textContent = text;
    note.append(strong, " " + advice);
    place.replaceChildren(note);
  }

  if (window.parent === window) {
    tell("This page is shown inside ConnectWise only.", "Open a company there, and this tab on it.");
    return;
  }
  patience = setTimeout(function () { tell("The page around this tab does not answer.", "It has to be ConnectWise."); }, 10000);
  likely().forEach(function (origin) { say({ message: "ready" }, origin); });
}());
