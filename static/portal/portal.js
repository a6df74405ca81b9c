// Small conveniences; every page works without them.
(function () {
  "use strict";

  document.querySelectorAll("[data-theme-switch]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", window.switchTheme);
  });

  // On wide screens the menu is always open.
  var wide = window.matchMedia("(min-width: 992px)");
  var menu = document.getElementById("menu");
  function unfold() { if (menu) { menu.open = wide.matches; } }
  wide.addEventListener("change", unfold);
  unfold();

  document.querySelectorAll("[data-copy]").forEach(function (button) {
    if (!navigator.clipboard) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(button.dataset.copy).then(function () {
        var before = button.textContent;
        button.textContent = "copied";
        setTimeout(function () { button.textContent = before; }, 1500);
      });
    });
  });

  document.querySelectorAll("[data-check-all]").forEach(function (box) {
    box.hidden = false;
    box.addEventListener("change", function () {
      document.querySelectorAll('input[name="' + box.dataset.checkAll + '"]').forEach(function (other) { other.checked = box.checked; });
    });
  });

  // Groups of options that belong to the choice of another select: show only the ones that fit.
  document.querySelectorAll("select[data-follows]").forEach(function (select) {
    var leader = document.getElementById(select.dataset.follows);
    if (!leader) { return; }
    var groups = Array.from(select.querySelectorAll("optgroup"));
    function follow() {
      var chosen = leader.selectedOptions[0];
      var label = (chosen && chosen.dataset.group) || leader.dataset.inherited || "";
      groups.forEach(function (group) {
        var fits = !label || group.label === label;
        if (fits && !group.parentNode) { select.appendChild(group); }
        if (!fits && group.parentNode && !group.contains(select.selectedOptions[0])) { group.remove(); }
        if (!fits && group.parentNode) { select.selectedIndex = 0; group.remove(); }
      });
    }
    leader.addEventListener("change", follow);
    follow();
  });

  // Fields that only matter for one value of another field.
  document.querySelectorAll("[data-only-when]").forEach(function (part) {
    var rule = part.dataset.onlyWhen.split("=");
    function react() {
      var field = document.querySelector('[name="' + rule[0] + '"]:checked') || document.querySelector('select[name="' + rule[0] + '"]');
      part.hidden = !field || rule[1].split("|").indexOf(field.value) < 0;
    }
    document.querySelectorAll('[name="' + rule[0] + '"]').forEach(function (field) { field.addEventListener("change", react); });
    react();
  });
})();
