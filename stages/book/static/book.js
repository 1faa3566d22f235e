// Addresses, curves and comparisons. Everything else stands in the page already and needs no script.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  root.classList.add("js");

  // Elements: make("td", {class: "num"}, "text", child)
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // Colours: as the system, light, dark. A file may not be allowed to remember the choice.
  const themes = ["auto", "light", "dark"];
  const remembered = { get() { try { return localStorage.getItem("book-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("book-theme", value); } catch { /* then not */ } } };
  function useTheme(theme) {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    const button = byId("theme");
    button.textContent = theme[0].toUpperCase() + theme.slice(1);
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
    button.dataset.now = theme;
  }
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", (event) => {
    const next = themes[(themes.indexOf(event.target.dataset.now) + 1) % themes.length];
    useTheme(next);
    remembered.set(next);
  });
  useTheme(themes.includes(remembered.get()) ? remembered.get() : "auto");

  // Curves. A series is {name, points: [[epoch, value]], color, dash, faint, shape}.
  const PERCENT = { unit: "accuracy, %", digits: 1, of: (value) => 100 * value };
  const LOSS = { unit: "loss", digits: 3, of: (value) => value };
  const METRICS = {
    validation: { name: "Validation accuracy", column: 1, ...PERCENT },
    train: { name: "Training accuracy", column: 0, ...PERCENT },
    trainLoss: { name: "Training loss", column: 2, ...LOSS },
    validationLoss: { name: "Validation loss", column: 3, ...LOSS },
  };
  const color = (place) => `var(--s${place % 8})`;
  const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
  const style = (place) => ({ color: color(place), dash: DASHES[Math.floor(place / 8) % DASHES.length] });

  function points(seed, metric) {
    return seed.history
      .map((line, epoch) => [epoch + 1, line[metric.column]])
      .filter(([, value]) => value !== null)
      .map(([epoch, value]) => [epoch, metric.of(value)]);
  }

  // One curve for each seed, and with several seeds their mean over the epochs that all of them have.
  function curves(number, metric, name, look) {
    const each = number.seeds.map((seed) => ({ name: `${name}, seed ${seed.seed}`, points: points(seed, metric), ...look }));
    if (each.length === 1) return [{ ...each[0], name }];
    const shared = Math.min(...each.map((one) => one.points.length));
    const mean = [...Array(shared).keys()].map((at) => [each[0].points[at][0], d3.mean(each, (one) => one.points[at][1])]);
    return [...each.map((one) => ({ ...one, faint: true })), { name: `${name}, mean`, points: mean, ...look }];
  }

  function swatch(one) {
    const svg = d3.create("svg").attr("viewBox", "0 0 26 10").attr("class", "swatch").attr("aria-hidden", "true");
    svg.append("line").attr("x2", 26).attr("y1", 5).attr("y2", 5).attr("stroke-width", 2)
      .attr("style", `stroke:${one.color};stroke-dasharray:${one.dash || "none"}`);
    svg.append("circle").attr("cx", 13).attr("cy", 5).attr("r", 3)
      .attr("style", `stroke:${one.color};fill:${one.hollow ? "var(--paper)" : one.color};stroke-width:1.5`);
    return svg.node();
  }

  function draw(figure, metric, series) {
    const drawn = series.filter((one) => one.points.length);
    const width = Math.max(280, Math.min(figure.clientWidth || 640, 1112));
    const flat = drawn.flatMap((one) => one.points.map(([epoch, value]) => ({ epoch, value, name: one.name })));
    const last = d3.max(flat, (point) => point.epoch) ?? 1;
    const marks = drawn.flatMap((one) => [
      Plot.line(one.points, { stroke: one.color, strokeWidth: one.faint ? 1 : 2, strokeOpacity: one.faint ? 0.4 : 1, strokeDasharray: one.dash || null, curve: "linear" }),
      one.faint ? null : Plot.dot(one.points, { r: 3.2, stroke: one.color, fill: one.hollow ? "var(--paper)" : one.color, strokeWidth: 1.6 }),
    ]);
    const plot = Plot.plot({
      width, height: Math.round(Math.min(340, Math.max(240, width * 0.42))), marginLeft: 46, marginBottom: 38, marginTop: 26, marginRight: 14,
      style: { background: "none", color: "var(--ink)", fontSize: "13px", fontFamily: "var(--sans)" },
      x: { label: "epoch", labelArrow: "none", labelAnchor: "center", ticks: d3.range(1, last + 1), tickFormat: "d", domain: [last === 1 ? 0.5 : 1, last === 1 ? 1.5 : last], inset: 8, tickSize: 0 },
      y: { label: metric.unit, labelArrow: "none", nice: true, grid: true, tickSize: 0, ticks: 5 },
      marks: [
        Plot.axisX({ color: "var(--soft)", tickSize: 0, label: "epoch", labelArrow: "none", labelAnchor: "center", ticks: last > 20 ? 10 : d3.range(1, last + 1), tickFormat: "d" }),
        Plot.ruleX(flat, Plot.pointerX({ x: "epoch", stroke: "var(--soft)", strokeOpacity: 0.5 })),
        ...marks,
        Plot.tip(flat, Plot.pointer({ x: "epoch", y: "value", fill: "var(--paper)", stroke: "var(--rule)", title: (point) => `${point.name}\nepoch ${point.epoch}: ${point.value.toFixed(metric.digits)}` })),
      ],
    });
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${metric.name} by epoch: ${drawn.map((one) => `${one.name} ends at ${one.points.at(-1)[1].toFixed(metric.digits)}`).join("; ")}`);
    const named = drawn.filter((one) => !one.faint);
    const legend = make("ul", { class: "legend" }, ...named.map((one) => make("li", {}, swatch(one), one.name)));
    const missing = series.filter((one) => !one.points.length);
    const notes = missing.length ? [make("p", { class: "note" }, `No finite values: ${missing.map((one) => one.name).join(", ")}.`)] : [];
    const open = figure.querySelector("details")?.open;
    figure.replaceChildren(legend, plot, ...notes, valuesTable(metric, drawn, last));
    if (open) figure.querySelector("details").open = true;
  }

  // The same numbers for those who cannot see or point at a curve.
  function valuesTable(metric, series, last) {
    const rows = d3.range(1, last + 1).map((epoch) => make("tr", {}, make("th", { scope: "row" }, String(epoch)),
      ...series.map((one) => {
        const found = one.points.find(([at]) => at === epoch);
        return make("td", { class: "num" }, found ? found[1].toFixed(metric.digits) : "–");
      })));
    const head = make("tr", {}, make("th", { scope: "col" }, "epoch"), ...series.map((one) => make("th", { scope: "col", class: "num" }, one.name)));
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
    const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${metric.name}, values` }, table);
    return make("details", { class: "values" }, make("summary", {}, "The values"), scroll);
  }

  // Radio buttons that choose what a figure shows; `redraw` gets the metric.
  function switcher(holder, name, metrics, redraw) {
    holder.replaceChildren(...Object.entries(metrics).map(([key, metric], place) => {
      const input = make("input", { type: "radio", name, value: key });
      input.checked = place === 0;
      input.addEventListener("change", () => redraw(key));
      return make("label", {}, input, metric.name);
    }));
    return () => holder.querySelector("input:checked").value;
  }

  const redraws = new Map(); // of the page that is shown, by figure
  function keepDrawn(figure, redraw) {
    redraws.set(figure, redraw);
    redraw();
  }
  let resizing = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => redraws.forEach((redraw) => redraw()));
  });

  const VIEWS = {
    accuracy: { name: "Accuracy", ...PERCENT },
    loss: { name: "Loss", ...LOSS },
  };
  function numberChart(figure) {
    const number = data.numbers[figure.dataset.id];
    let holder = figure.previousElementSibling;
    if (!holder.classList.contains("switch")) {
      holder = make("div", { class: "switch", role: "radiogroup", "aria-label": "What the curve shows" });
      figure.before(holder);
      holder.chosen = switcher(holder, `view-${figure.dataset.id}`, VIEWS, () => redraws.get(figure)());
    }
    const printed = (values, name, place) => ({ name, points: values.map((value, epoch) => [epoch + 1, value]), ...style(place), dash: "5 4", hollow: true });
    keepDrawn(figure, () => {
      const view = holder.chosen();
      if (view === "loss") {
        draw(figure, VIEWS.loss, [...curves(number, METRICS.validationLoss, "validation", style(0)), ...curves(number, METRICS.trainLoss, "training", style(1))]);
        return;
      }
      const log = number.log ? [printed(number.log.validation, `validation, Fig. ${number.log.figure} of the paper`, 0), printed(number.log.train, `training, Fig. ${number.log.figure} of the paper`, 1)] : [];
      draw(figure, VIEWS.accuracy, [...curves(number, METRICS.validation, "validation", style(0)), ...curves(number, METRICS.train, "training", style(1)), ...log]);
    });
  }

  function studyChart(figure) {
    const study = data.studies[figure.dataset.study];
    const ours = study.numbers.flatMap((id, place) => curves(data.numbers[id], METRICS.validation, data.numbers[id].cell.split("/")[1], style(place)));
    const longest = d3.max(ours, (one) => one.points.length);
    const printed = study.log
      ? { name: `printed, Fig. ${study.log}`, points: study.printed.map((value, epoch) => [epoch + 1, value]) }
      : { name: "printed test accuracy", points: d3.range(1, longest + 1).map((epoch) => [epoch, study.printed[0]]) };
    keepDrawn(figure, () => draw(figure, METRICS.validation, [...ours, { ...printed, color: "var(--printed)", dash: "5 4", hollow: true }]));
  }

  // McNemar's exact test: two-sided binomial test of the images that only one network named right, at 1/2.
  const logFactorials = [0];
  function logFactorial(n) {
    for (let k = logFactorials.length; k <= n; k += 1) logFactorials.push(logFactorials[k - 1] + Math.log(k));
    return logFactorials[n];
  }
  function binomialHalf(hits, trials) {
    if (2 * hits === trials) return 1;
    const few = Math.min(hits, trials - hits);
    const logs = d3.range(0, few + 1).map((k) => logFactorial(trials) - logFactorial(k) - logFactorial(trials - k) - trials * Math.LN2);
    const most = d3.max(logs);
    return Math.min(1, 2 * Math.exp(most) * d3.sum(logs, (log) => Math.exp(log - most)));
  }
  const bits = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); // one for each test image
  function ones(byte) {
    let found = 0;
    for (let rest = byte; rest; rest &= rest - 1) found += 1;
    return found;
  }
  function mcnemar(one, other) {
    let first = 0;
    let second = 0;
    for (let at = 0; at < one.length; at += 1) {
      first += ones(one[at] & ~other[at]);
      second += ones(other[at] & ~one[at]);
    }
    return { first, second, p: first + second ? binomialHalf(first, first + second) : 1 };
  }
  // S. Holm, Scandinavian Journal of Statistics 6, 1979.
  function holm(ps) {
    let highest = 0;
    const adjusted = [];
    d3.range(ps.length).sort((a, b) => ps[a] - ps[b]).forEach((at, rank) => {
      highest = Math.max(highest, Math.min(1, (ps.length - rank) * ps[at]));
      adjusted[at] = highest;
    });
    return adjusted;
  }
  window.book = { mcnemar, holm, data }; // for whoever asks in the console, and for the tests

  // Comparing: the ticked rows, and the page whose address names them.
  const ticked = new Set();
  const named = (number) => (number.table ? `${number.label} (Table ${number.table})` : `${number.label} (${data.titles[number.dataset]})`);
  const addressOf = (ids) => `#/compare/${ids.join("+")}`;

  function showTicks() {
    document.querySelectorAll("input.tick").forEach((input) => { input.checked = ticked.has(input.dataset.id); });
    const comparing = location.hash.startsWith("#/compare");
    byId("tray").hidden = !ticked.size || comparing;
    byId("tray-text").textContent = ticked.size === 1 ? "1 row chosen; tick another to compare" : `${ticked.size} rows chosen`;
    byId("tray-go").hidden = ticked.size < 2;
    byId("tray-go").setAttribute("href", addressOf([...ticked]));
  }
  document.addEventListener("change", (event) => {
    if (!event.target.matches("input.tick")) return;
    if (event.target.checked) ticked.add(event.target.dataset.id); else ticked.delete(event.target.dataset.id);
    showTicks();
  });
  byId("tray-clear").addEventListener("click", () => {
    ticked.clear();
    showTicks();
    byId("content").focus({ preventScroll: true });
  });

  function comparePage(ids) {
    const known = ids.filter((id) => id in data.numbers);
    ticked.clear();
    known.forEach((id) => ticked.add(id));
    const numbers = known.map((id) => ({ id, ...data.numbers[id] }));
    byId("compare-lead").textContent = known.length < 2
      ? "Tick two rows or more, in any table, and choose Compare."
      : "Curves over each other, what differs in the configuration, and whether the test images tell the networks apart.";
    byId("compare-chosen").replaceChildren(...numbers.map((number, place) => {
      const remove = make("button", { type: "button", "aria-label": `Leave out ${named(number)}` }, "×");
      remove.addEventListener("click", () => { location.hash = addressOf(known.filter((id) => id !== number.id)); });
      return make("li", {}, swatch(style(place)), make("a", { href: `#/${number.id}` }, named(number)), make("b", {}, number.ours), remove);
    }));
    byId("compare-body").hidden = numbers.length < 2;
    if (numbers.length < 2) return;
    const figure = byId("compare-chart");
    const chosen = switcher(byId("compare-metric"), "metric", METRICS, () => redraws.get(figure)());
    keepDrawn(figure, () => {
      const metric = METRICS[chosen()];
      draw(figure, metric, numbers.flatMap((number, place) => curves(number, metric, named(number), style(place))));
    });
    settingsTable(numbers);
    mcnemarTable(numbers);
  }

  function settingsTable(numbers) {
    const names = [...new Set(numbers.flatMap((number) => Object.keys(number.settings)))];
    const text = (value) => (value === undefined ? "–" : value === true ? "yes" : value === false ? "no" : String(value));
    const differing = names.filter((name) => new Set(numbers.map((number) => text(number.settings[name]))).size > 1 && name !== "seed");
    const head = make("tr", {}, make("th", { scope: "col" }, "setting"), ...numbers.map((number) => make("th", { scope: "col" }, named(number))));
    const rows = differing.map((name) => make("tr", {}, make("th", { scope: "row" }, make("code", {}, name.replace(/^cell\./, ""))),
      ...numbers.map((number, place) => {
        const value = text(number.settings[name]);
        return make("td", place && value === text(numbers[0].settings[name]) ? { class: "same" } : {}, value);
      })));
    const none = make("tr", {}, make("td", { colspan: String(numbers.length + 1) }, "Nothing differs."));
    byId("compare-settings").replaceChildren(make("thead", {}, head), make("tbody", {}, ...(rows.length ? rows : [none])));
  }

  function mcnemarTable(numbers) {
    const seeds = numbers[0].seeds.map((seed) => seed.seed).filter((seed) => numbers.every((number) => number.seeds.some((one) => one.seed === seed)));
    const holder = byId("compare-seed");
    if (seeds.length < 2) {
      holder.textContent = "";
      fillMcnemar(numbers, seeds[0]);
      return;
    }
    const select = make("select", {}, ...seeds.map((seed) => make("option", { value: String(seed) }, String(seed))));
    select.addEventListener("change", () => fillMcnemar(numbers, Number(select.value)));
    holder.replaceChildren(make("label", {}, "Seed ", select));
    fillMcnemar(numbers, seeds[0]);
  }

  function fillMcnemar(numbers, seed) {
    const of = (number) => number.seeds.find((one) => one.seed === seed);
    const pairs = numbers.flatMap((one, place) => numbers.slice(place + 1).map((other) => ({ one, other })));
    const tested = pairs.filter(({ one, other }) => one.dataset === other.dataset)
      .map((pair) => ({ ...pair, ...mcnemar(bits(of(pair.one).right), bits(of(pair.other).right)) }));
    const adjusted = holm(tested.map((pair) => pair.p));
    const heads = ["first", "second", "only first right", "only second right", "p", "p after Holm"];
    const head = make("tr", {}, ...heads.map((name, place) => make("th", place > 1 ? { scope: "col", class: "num" } : { scope: "col" }, name)));
    const rows = tested.map((pair, place) => make("tr", {}, make("td", {}, named(pair.one)), make("td", {}, named(pair.other)),
      ...[pair.first, pair.second].map((count) => make("td", { class: "num" }, String(count))),
      make("td", { class: "num", "data-p": String(pair.p) }, printP(pair.p)), make("td", { class: "num" }, printP(adjusted[place]))));
    const untested = pairs.length - tested.length;
    if (untested) {
      const said = `${untested} ${untested === 1 ? "pair is" : "pairs are"} of different data sets, and so of other test images: no test.`;
      rows.push(make("tr", {}, make("td", { colspan: "6", class: "same" }, said)));
    }
    byId("compare-mcnemar").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }
  function printP(p) {
    if (p >= 0.001) return p.toFixed(3);
    const exponent = p > 0 ? Math.floor(Math.log10(p)) : null;
    if (exponent === null) return "< 10⁻³⁰⁰";
    const digits = [...String(-exponent)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
    return `${(p / 10 ** exponent).toFixed(1)} × 10⁻${digits}`;
  }

  // Addresses, of pages and of places in them. Back and forward work since each is a fragment; the page's heading, or the
  // place, takes the focus.
  let arrived = false;
  let place = null;
  const settle = () => (place ? place.scrollIntoView() : scrollTo(0, 0));
  function route() {
    const path = decodeURIComponent(location.hash.slice(1)) || "/";
    if (path === "content") return; // the skip link
    const comparing = path === "/compare" || path.startsWith("/compare/");
    const target = byId(comparing ? "/compare" : path);
    const shown = target?.closest(".page") ?? byId("/nothing");
    place = shown.contains(target) && target !== shown ? target : null;
    redraws.clear();
    document.querySelectorAll(".page.current").forEach((one) => one.classList.remove("current"));
    shown.hidden = false;
    shown.classList.add("current");
    if (comparing) comparePage(path.split("/").slice(2).join("/").split("+").filter(Boolean));
    shown.querySelectorAll("[data-chart='number']").forEach(numberChart);
    shown.querySelectorAll("[data-chart='study']").forEach(studyChart);
    document.title = `${shown.dataset.title} · Very deep networks, re-run`;
    const part = shown.id.replace(/^\/study\/.*/, "/studies").replace(/^\/network\/.*/, "/networks");
    const links = [...document.querySelectorAll(".bar nav a")];
    const chosen = links.find((link) => link.hash === `#${part}`) ?? links[0]; // a number belongs to the tables
    links.forEach((link) => {
      if (link === chosen) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    });
    showTicks();
    if (arrived) {
      const left = scrolled.get(location.hash);
      if (left === undefined) settle(); else scrollTo(0, left);
      (place ?? shown.querySelector("h1")).focus({ preventScroll: true });
    }
    arrived = true;
    shownHash = location.hash;
  }
  // Where a page was left, so that Back returns to the row that was chosen.
  const scrolled = new Map();
  let shownHash = location.hash;
  let going = false;
  document.addEventListener("click", (event) => {
    if (!event.target.closest("a[href^='#/']")) return;
    going = true;
    scrolled.set(location.hash, scrollY); // the event of a scroll just before may come too late
  });
  addEventListener("scroll", () => { if (shownHash === location.hash) scrolled.set(shownHash, scrollY); }, { passive: true });
  addEventListener("hashchange", () => {
    if (going) scrolled.delete(location.hash);
    going = false;
    route();
  });
  if ("scrollRestoration" in history) history.scrollRestoration = "manual";

  document.querySelectorAll("button.copy").forEach((button) => {
    const text = button.parentElement.querySelector("code");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch { // a file may not be allowed to write there: select, for the keyboard's own copying
        getSelection().selectAllChildren(text);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  });
  route();
  addEventListener("load", () => requestAnimationFrame(settle)); // the browser goes to the fragment's top edge
})();
