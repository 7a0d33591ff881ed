/* The hits of a search, best first. Each links to its second of the source, if that is next to the page. */
{
  const { element, percent, clockText } = percept;
  const { question, hits } = JSON.parse(document.getElementById("hits").textContent);

  const score = (hit) => (hit.scale === "probability" ? percent(hit.score) : (hit.score / 1000).toFixed(3));

  const card = (hit) => {
    const inner = [
      hit.picture ? element("img", { src: hit.picture, alt: "", decoding: "async" }) : element("div", { class: "none" }),
      element("span", { class: "when" , text: `${clockText(hit.start, true)} – ${clockText(hit.end, true)} · ${score(hit)}` }),
      element("span", { class: "name", text: hit.name, title: hit.name }),
      element("span", { class: "words", text: hit.labels.map(([word, value]) => `${word} ${percent(value)}`).join(", ") }),
    ];
    const body = hit.url ? element("a", { href: hit.url, target: "_blank", rel: "noopener" }, ...inner) : element("div", {}, ...inner);
    return element("li", {}, body);
  };

  const found = hits.length ? `${hits.length} hit${hits.length === 1 ? "" : "s"}` : "Nothing was found.";
  document.body.append(
    element("main", { class: "search-hits" },
      element("header", {}, element("h1", { text: question }), element("p", { class: "when", text: found })),
      element("ol", {}, ...hits.map(card))),
  );
}
