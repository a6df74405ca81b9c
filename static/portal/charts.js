// Draws each figure's table as a chart; without scripts the tables stand open.
(function () {
  "use strict";
  if (!window.uPlot) { return; }
  var DASHES = [[], [8, 4], [2, 3], [10, 4, 2, 4], [14, 4], [4, 4], [1, 4], [12, 3, 3, 3]];
  var drawn = [];

  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  function options(told, width) {
    var axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line-soft"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    var series = told.series.map(function (label, number) {
      var line = colour("--series-" + (number % 8 + 1));
      return { label: label, stroke: line, width: 2, dash: DASHES[number % 8], spanGaps: false, points: { size: 5, stroke: line }, value: function (plot, value) { return value === null || value === undefined ? "–" : value.toLocaleString() + (told.unit ? " " + told.unit : ""); } };
    });
    var x = { label: told.by === "month" ? "Month" : "Day", value: told.by === "month" ? "{YYYY}-{MM}" : "{YYYY}-{MM}-{DD}" };
    return {
      width: width, height: 240, tzDate: function (at) { return uPlot.tzDate(new Date(at * 1000), "Etc/UTC"); },
      series: [x].concat(series), cursor: { drag: { x: false, y: false } },
      scales: { y: { range: function (plot, low, high) { return [0, Math.max(high || 0, 1) * 1.08]; } } },
      axes: [Object.assign({ values: told.by === "month" ? [[2419200, "{YYYY}-{MM}"]] : [[86400, "{MM}-{DD}"]], space: 64 }, axis), Object.assign({ size: 58 }, axis)]
    };
  }

  function draw(place) {
    var told = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    if (place.plot) { place.plot.destroy(); }
    place.plot = new uPlot(options(told, Math.max(place.clientWidth, 240)), told.data, place);
  }

  document.querySelectorAll("[data-chart]").forEach(function (place) {
    place.hidden = false;
    draw(place);
    drawn.push(place);
    var table = document.getElementById(place.dataset.table);
    if (table) { table.open = false; }
  });

  var waiting = 0;
  function again() { clearTimeout(waiting); waiting = setTimeout(function () { drawn.forEach(draw); }, 150); }
  window.addEventListener("resize", again);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
})();
