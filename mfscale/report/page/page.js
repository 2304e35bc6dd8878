// The page's own behaviour: table, filters, tooltip, and the way from a point to its stage.
"use strict";
(() => {
  const { table, figures, evidence } = JSON.parse(document.getElementById("payload").textContent);
  const { columns, rows, facets } = table;
  const byId = (id) => document.getElementById(id);
  const idColumn = columns.findIndex((column) => column.key === "stage_id");
  const state = { facets: [], search: "", evidence: null, chosen: null, alone: {} };
  const searchable = rows.map((row) => row.map(shown).join("\n").toLowerCase());

  function shown(value) {
    if (value === null) return "";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    return Math.abs(value) >= 1e4 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  }

  function element(name, text, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    if (text !== null) made.textContent = text;
    return made;
  }

  // ---- which stages are shown
  function passes(i) {
    return (
      state.facets.every((value, f) => !value || facets[i][f].includes(value)) &&
      (state.evidence === null || state.evidence.has(i))
    );
  }

  function inTable(i) {
    return passes(i) && searchable[i].includes(state.search);
  }

  // ---- the table
  const lines = rows.map((row, i) => {
    const line = element("tr", null, { id: `stage-${row[idColumn]}`, tabIndex: -1 });
    row.forEach((value, c) => {
      const cell = element("td", shown(value), { title: shown(value) });
      if (columns[c].number) cell.className = "number";
      line.append(cell);
    });
    line.addEventListener("click", () => choose(i, false));
    return line;
  });
  const body = element("tbody", null);
  body.append(...lines);

  function heading(column, c) {
    const cell = element("th", null);
    const button = element("button", column.label, { type: "button", title: column.key });
    button.addEventListener("click", () => sortBy(c, cell));
    cell.append(button);
    if (column.number) cell.className = "number";
    return cell;
  }

  function sortBy(c, cell) {
    const up = cell.getAttribute("aria-sort") !== "ascending";
    cell.parentNode.childNodes.forEach((other) => other.removeAttribute("aria-sort"));
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const order = rows.map((_, i) => i);
    order.sort((i, j) => {
      const [a, b] = [rows[i][c], rows[j][c]];
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      const found = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return (up ? found : -found) || i - j;
    });
    body.append(...order.map((i) => lines[i]));
  }

  const head = element("thead", null);
  const headings = element("tr", null);
  headings.append(...columns.map(heading));
  head.append(headings);
  byId("table").append(head, body);

  // ---- figures
  const places = [...document.querySelectorAll("[data-figure]")];
  const phone = window.matchMedia("(pointer: coarse)").matches;
  const settings = {
    responsive: true,
    displaylogo: false,
    displayModeBar: phone ? false : "hover",
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d"], // nothing leaves the page
  };
  const MOST_BANDS = 6; // more hide one another
  const POINTS = new Set(["runs", "residuals", "held out", "held out residuals"]);
  const RUNS = new Set(["runs", "held out"]);

  function traceNow(trace, alone, present) {
    const { kind, law, wide } = trace.meta;
    const few = present.size <= MOST_BANDS;
    if (kind === "curve") return { ...trace, visible: passes(trace.customdata[0]) };
    const apart = alone !== undefined;
    const there = present.has(law) && (!apart || alone === law);
    if (POINTS.has(kind)) {
      const kept = trace.customdata.map((_, k) => k).filter((k) => passes(trace.customdata[k]));
      const only = (values) => kept.map((k) => values[k]);
      return {
        ...trace, x: only(trace.x), y: only(trace.y), customdata: only(trace.customdata), visible: there,
      };
    }
    if (kind === "new run") return { ...trace, visible: there && apart };
    if (kind === "band") return { ...trace, visible: there && (apart || (few && !wide)) };
    return { ...trace, visible: there };
  }

  function chosenTraces(data) {
    if (state.chosen === null) return [];
    return data.flatMap((trace) => {
      if (!trace.visible || trace.meta.kind === "curve") {
        const mine = trace.visible && trace.customdata && trace.customdata[0] === state.chosen;
        return mine ? [{ ...trace, opacity: 1, line: { color: "#e69f00", width: 4 } }] : [];
      }
      if (!POINTS.has(trace.meta.kind)) return [];
      const k = trace.customdata.indexOf(state.chosen);
      if (k < 0) return [];
      const marker = { symbol: "circle-open", size: 18, color: "#e69f00", line: { width: 3 } };
      const point = { x: [trace.x[k]], y: [trace.y[k]], customdata: [state.chosen] };
      return [{ ...trace, ...point, marker, meta: { kind: "chosen" } }];
    });
  }

  function draw(place) {
    const key = place.dataset.figure;
    const { data, layout } = figures[key];
    const present = new Set(
      data.filter((t) => RUNS.has(t.meta.kind) && t.customdata.some(passes)).map((t) => t.meta.law),
    );
    const now = data.map((trace) => traceNow(trace, state.alone[key], present));
    const view = { ...layout, dragmode: phone ? false : "zoom", uirevision: "kept" };
    Plotly.react(place, [...now, ...chosenTraces(now)], view, settings);
    document.querySelectorAll(`[data-laws="${key}"] [data-law]`).forEach((line) => {
      const law = Number(line.dataset.law);
      line.classList.toggle("absent", !present.has(law));
      line.classList.toggle("alone", state.alone[key] === law);
      line.querySelector("button").setAttribute("aria-pressed", String(state.alone[key] === law));
    });
  }

  function refresh() {
    places.forEach(draw);
    let n = 0;
    lines.forEach((line, i) => {
      line.hidden = !inTable(i);
      n += line.hidden ? 0 : 1;
    });
    byId("shown").textContent = `${n} of ${rows.length} stages`;
  }

  // ---- from a point to its stage and back
  function choose(i, scroll) {
    if (state.chosen !== null) lines[state.chosen].classList.remove("chosen");
    state.chosen = i;
    lines[i].classList.add("chosen");
    history.replaceState(null, "", `#${lines[i].id}`);
    if (scroll) {
      if (lines[i].hidden) {
        byId("search").value = state.search = "";
        refresh();
      }
      byId("table-place").scrollIntoView({ block: "nearest" });
      lines[i].scrollIntoView({ block: "center", inline: "nearest" });
      lines[i].focus({ preventScroll: true });
    }
    places.forEach(draw);
  }

  const tip = byId("tip");
  function tell(i, event, apart) {
    const list = element("dl", null);
    rows[i].forEach((value, c) => {
      if (value === null) return;
      list.append(element("dt", columns[c].label), element("dd", shown(value)));
    });
    if (apart) list.append(element("dt", "held out"), element("dd", "the law was not fitted to this run"));
    tip.replaceChildren(list, element("p", "click: to its row"));
    tip.hidden = false;
    const { clientX: x, clientY: y } = event;
    const left = x + 16 + tip.offsetWidth > innerWidth ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - tip.offsetHeight - 4))}px`;
  }

  places.forEach((place) => {
    draw(place);
    const stageOf = ({ points }) => points.map((p) => p.customdata).find((i) => typeof i === "number");
    place.on("plotly_hover", (found) => {
      const i = stageOf(found);
      const apart = found.points.some((p) => p.data.meta.kind.startsWith("held out"));
      if (i !== undefined) tell(i, found.event, apart);
    });
    place.on("plotly_unhover", () => (tip.hidden = true));
    place.on("plotly_click", (found) => {
      const i = stageOf(found);
      tip.hidden = true;
      if (i !== undefined) setTimeout(() => choose(i, true)); // plotly has to end its click first
    });
  });

  // ---- controls
  document.querySelectorAll("[data-facet]").forEach((select) => {
    select.addEventListener("change", () => {
      state.facets[Number(select.dataset.facet)] = select.value;
      refresh();
    });
  });
  function showAll() {
    state.evidence = null;
    byId("evidence").hidden = true;
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => {
    state.facets = [];
    byId("search").value = state.search = "";
    showAll();
    setTimeout(refresh);
  });
  byId("search").addEventListener("input", (event) => {
    state.search = event.target.value.toLowerCase();
    refresh();
  });
  document.querySelectorAll("[data-evidence]").forEach((button) => {
    button.addEventListener("click", () => {
      state.evidence = new Set(evidence[Number(button.dataset.evidence)]);
      byId("evidence").querySelector("span").textContent = `Only the stages of claim ${button.dataset.name}.`;
      byId("evidence").hidden = false;
      refresh();
      byId("stages").scrollIntoView();
    });
  });
  byId("evidence").querySelector("button").addEventListener("click", () => {
    showAll();
    refresh();
  });
  document.querySelectorAll("[data-laws] [data-law] button").forEach((button) => {
    button.addEventListener("click", () => {
      const key = button.closest("[data-laws]").dataset.laws;
      const law = Number(button.closest("[data-law]").dataset.law);
      if (state.alone[key] === law) delete state.alone[key];
      else state.alone[key] = law;
      draw(places.find((place) => place.dataset.figure === key));
    });
  });

  refresh();
  const asked = rows.findIndex((row) => `#stage-${row[idColumn]}` === location.hash);
  if (asked >= 0) choose(asked, true);
  document.documentElement.dataset.ready = "yes";
})();
