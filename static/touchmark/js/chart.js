"use strict";
// Draws <figure data-chart="ID">: the figure's JSON is in the json_script element #ID, colours are "token:NAME" and come from
// the stylesheet, so that one figure serves light, dark and paper. Plotly itself is fetched only by pages that have a chart.
(() => {
  const source = document.currentScript.dataset.plotly;
  let plotly = null;

  // What keeps `style-src 'self'` whole. Plotly fills the stylesheet element plotly.js-style-global where a page has one
  // (base.html has). Its map library writes a <style> when it loads unless an element of this name is there; maps are not
  // used here. And D3 sets whole style attributes, which the policy refuses; the CSSOM, which it allows, does the same.
  function meetPolicy() {
    const maps = document.createElement("meta");
    maps.id = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
    document.head.append(maps);
    const setAttribute = Element.prototype.setAttribute;
    SVGElement.prototype.setAttribute = function (name, value) {
      if (name === "style") this.style.cssText = value;
      else setAttribute.call(this, name, value);
    };
  }

  function loadPlotly() {
    plotly ??= new Promise((resolve, reject) => {
      meetPolicy();
      const script = document.createElement("script");
      script.src = source;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("The chart library did not load."));
      document.head.append(script);
    });
    return plotly;
  }

  // A custom property holds light-dark(...); only a real property of a real element tells the colour of the moment.
  function tokenReader() {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    return {
      colour(name) {
        probe.style.color = `var(--${name})`;
        canvas.fillStyle = getComputedStyle(probe).color;
        return canvas.fillStyle;
      },
      done: () => probe.remove(),
    };
  }

  function scale(name, tokens) {
    if (name === "diverging") return [[0, tokens.colour("warn")], [0.5, tokens.colour("surface")], [1, tokens.colour("accent")]];
    return [[0, tokens.colour("surface")], [1, tokens.colour("accent")]];
  }

  function resolve(value, tokens) {
    if (typeof value === "string" && value.startsWith("token:")) {
      const name = value.slice(6);
      return name === "diverging" || name === "sequential" ? scale(name, tokens) : tokens.colour(name);
    }
    if (Array.isArray(value)) return value.map((item) => resolve(item, tokens));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, tokens)]));
    }
    return value;
  }

  function merge(base, extra) {
    const result = { ...base };
    for (const [key, value] of Object.entries(extra ?? {})) {
      const nested = value && typeof value === "object" && !Array.isArray(value);
      result[key] = nested ? merge(base[key] ?? {}, value) : value;
    }
    return result;
  }

  function themed(layout, tokens, fontFamily) {
    const axis = {
      gridcolor: tokens.colour("line"), linecolor: tokens.colour("line-strong"), zerolinecolor: tokens.colour("line-strong"),
      tickcolor: tokens.colour("line-strong"), automargin: true, title: { standoff: 10 },
    };
    const base = {
      autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: fontFamily, size: 13, color: tokens.colour("ink") },
      colorway: ["accent", "pewter", "warn", "good", "bad", "ink"].map(tokens.colour),
      margin: { l: 56, r: 16, t: 16, b: 48 }, bargap: 0.06, hovermode: "closest",
      hoverlabel: { bgcolor: tokens.colour("surface"), bordercolor: tokens.colour("line-strong"), font: { color: tokens.colour("ink") } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    };
    for (const name of Object.keys({ xaxis: 0, yaxis: 0, ...layout })) {
      if (/^[xy]axis\d*$/.test(name)) base[name] = axis;
    }
    return merge(base, layout);
  }

  function paint(Plotly, plot, data) {
    const tokens = tokenReader();
    const { data: traces, layout } = resolve(JSON.parse(data.textContent), tokens);
    const themedLayout = themed(layout ?? {}, tokens, getComputedStyle(document.body).fontFamily);
    tokens.done();
    return Plotly.react(plot, traces, themedLayout, { displayModeBar: false, responsive: true, showTips: false });
  }

  async function draw(figure) {
    const data = document.getElementById(figure.dataset.chart);
    const plot = figure.querySelector(".chart-plot");
    if (!data || !plot) return;
    try {
      await paint(await loadPlotly(), plot, data);
      plot.querySelectorAll("svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
      figure.dataset.drawn = "";
    } catch (error) {
      plot.classList.add("chart-failed");
      plot.textContent = "The chart could not be drawn. Its numbers are in the table below.";
      console.error(error);
    }
  }

  // Paper is light. The browser prints right after this event, so the colours change without waiting for anything.
  let screenTheme;
  function repaint() {
    for (const figure of document.querySelectorAll("figure[data-drawn]")) {
      paint(window.Plotly, figure.querySelector(".chart-plot"), document.getElementById(figure.dataset.chart));
    }
  }
  addEventListener("beforeprint", () => {
    screenTheme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    repaint();
  });
  addEventListener("afterprint", () => {
    if (screenTheme) document.documentElement.dataset.theme = screenTheme;
    else delete document.documentElement.dataset.theme;
    repaint();
  });

  const drawAll = (root) => root.querySelectorAll("figure[data-chart]").forEach(draw);
  document.addEventListener("touchmark:theme", () => drawAll(document));
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.querySelectorAll) drawAll(event.detail.target);
  });
  drawAll(document);
})();
