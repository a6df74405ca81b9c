// Dark or light before anything is painted: what the person chose here, else what the system says.
(function () {
  "use strict";
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch (error) { /* storage is switched off */ }
    document.documentElement.dataset.bsTheme = chosen || (system.matches ? "dark" : "light");
  }
  system.addEventListener("change", apply);
  window.switchTheme = function () {
    var next = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", next); } catch (error) { /* then for this page only */ }
    document.documentElement.dataset.bsTheme = next;
  };
  apply();
})();
