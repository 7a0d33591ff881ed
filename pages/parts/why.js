/* Why a clip has a label: the picture and the sentences of `percept explain`, or how to have it explained. */
{
  const { element } = percept;

  percept.Why = class {
    constructor() {
      this.title = element("h2");
      this.picture = element("div");
      this.text = element("div", { class: "told" });
      const closing = element("button", { type: "button", text: "Close", onclick: () => this.root.close() });
      const closeOutside = (event) => event.target === this.root && this.root.close();
      this.root = element("dialog", { class: "help why", "aria-label": "Why", onclick: closeOutside },
        this.title, this.picture, this.text, closing);
    }

    show(recording, clip, word) {
      const label = recording.words[word];
      this.title.textContent = `Why ${label}?`;
      const found = recording.why.get(`${clip} ${label}`);
      const picture = found?.picture && element("img", { src: found.picture, alt: found.sentences.join(" ") });
      this.picture.replaceChildren(...[picture].filter(Boolean));
      const missing = ["This label was not explained when the page was made. On the machine with the video, run:"];
      const texts = picture ? found.sentences.slice(2) : (found?.sentences ?? missing); // two are in the picture
      this.text.replaceChildren(...texts.map((text) => element("p", { text })));
      if (!found) this.text.append(element("p", {}, element("code", { text: command(recording, clip, label) })));
      this.root.showModal();
    }
  };

  function command(recording, clip, label) {
    const at = ((recording.start[clip] + recording.endOf[clip]) / 2000).toFixed(1);
    return `percept explain ${quoted(recording.source)} --at ${at} --label ${quoted(label)}`;
  }

  const quoted = (text) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
}
