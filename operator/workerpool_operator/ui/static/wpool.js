// The page's own script: takes in what has changed, sorts and filters the table, sends buttons, shows the log.
// HTML comes from our server only, which escapes every value; lines of logs are text here, never HTML.
"use strict";
// `trusted`: HTML of our server. `start`: bring the page that is shown to life; what it gives ends that. `net` asks our
// server: on the user's own machine as browsers do, in the cluster with a token (login.js).
const wpool = (() => {
  const policy = window.trustedTypes ? trustedTypes.createPolicy("wpool", { createHTML: (html) => html }) : null;
  const trusted = (html) => (policy ? policy.createHTML(html) : html);
  const LOG_LINES = 2000;

  function start(net) {
  const over = new AbortController(), { signal } = over;
  const byId = (id) => document.getElementById(id);

  // --- what the server sends -------------------------------------------------------------------------------------
  function element(html) {
    const holder = document.createElement("template");
    holder.innerHTML = trusted(html);
    return holder.content.firstElementChild;
  }

  // Make `now` like `wanted` with as few changes as possible: focus, selection and scrolling stay.
  function morph(now, wanted) {
    if (now.isEqualNode(wanted)) return;
    if (now.nodeName !== wanted.nodeName || now.nodeType !== Node.ELEMENT_NODE) {
      if (now.nodeType === Node.TEXT_NODE && wanted.nodeType === Node.TEXT_NODE) now.data = wanted.data;
      else now.replaceWith(wanted);
      return;
    }
    for (const { name } of [...now.attributes]) if (!wanted.hasAttribute(name) && name !== "class") now.removeAttribute(name);
    for (const { name, value } of [...wanted.attributes]) {
      // A person's value stays: attributes of fields are only their first value.
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
    if (!wanted.hasAttribute("class")) now.removeAttribute("class");
    const known = new Map(), kept = new Set([...wanted.children].map((child) => child.id));
    for (const child of [...now.children]) {
      if (child.id && kept.has(child.id)) known.set(child.id, child);
      else if (child.id) child.remove();
    }
    let place = now.firstChild;
    for (const child of [...wanted.childNodes]) {
      const same = child.id ? known.get(child.id) : null;
      if (same) {
        // What is moved loses the focus: rather take away what stands before it.
        while (place && place !== same && !place.id) {
          const next = place.nextSibling;
          place.remove();
          place = next;
        }
        if (same !== place) now.insertBefore(same, place);
        else place = place.nextSibling;
        morph(same, child);
      } else if (place && !place.id && !child.id && place.nodeName === child.nodeName) {
        const next = place.nextSibling;
        morph(place, child);
        place = next;
      } else now.insertBefore(child, place);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  // Who was at something that is gone goes on close to it: with the focus at the page itself, the next Tab would begin
  // at its top, and a screen reader would read from there.
  function goOnBeside(held) {
    if (held && !held.isConnected) (byId("said") || byId("main")).focus({ preventScroll: true });
  }

  function patch({ id, html, into, after }) {
    const now = byId(id);
    if (!html) {
      const held = document.activeElement;
      if (now) now.remove();
      goOnBeside(held);
      return;
    }
    const wanted = element(html);
    if (now) {
      const out = now.classList.contains("out"), held = document.activeElement;
      morph(now, wanted);
      const shown = byId(id);
      if (out && shown) shown.classList.add("out");
      goOnBeside(held);
    } else if (into && byId(into)) {
      const above = after && byId(after);
      if (above) above.after(wanted);
      else byId(into).prepend(wanted);
    }
  }

  // --- ages: the browser counts, so that no row changes because time goes by ---------------------------------------
  function ages(root) {
    const now = Date.now();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const seconds = Math.max(0, Math.round((now - Date.parse(time.dateTime)) / 1000));
      if (Number.isNaN(seconds)) continue;
      const [unit, size] = [["d", 86400], ["h", 3600], ["m", 60]].find(([, one]) => seconds >= 2 * one) || ["s", 1];
      const text = Math.floor(seconds / size) + unit;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // --- table: sort and filter ----------------------------------------------------------------------------------------
  const body = byId("pools"), find = byId("find"), troubled = byId("troubled");
  const order = { column: 0, down: false };

  function sift(rows) {
    if (!body) return;
    const text = find.value.trim().toLowerCase();
    for (const row of rows) {
      const out = (text && !row.textContent.toLowerCase().includes(text)) || (troubled.checked && row.dataset.tone !== "bad");
      row.classList.toggle("out", Boolean(out));
    }
    const filtered = text || troubled.checked;
    byId("found").textContent = filtered ? `${body.querySelectorAll("tr:not(.out)").length} of ${body.rows.length}` : "";
  }

  const value = (row) => {
    const cell = row.cells[order.column];
    return cell.dataset.v ?? cell.textContent;
  };
  function sort() {
    const numeric = new Intl.Collator("en", { numeric: true });
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a, one], [b, other]) => numeric.compare(a, b) * (order.down ? -1 : 1) || numeric.compare(one.id, other.id));
    body.append(...rows.map(([, row]) => row));
  }

  if (body) {
    find.addEventListener("input", () => sift(body.rows));
    troubled.addEventListener("change", () => sift(body.rows));
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    for (const button of document.querySelectorAll("[data-sortable] thead button")) {
      button.addEventListener("click", () => {
        const head = button.closest("th");
        order.down = head.ariaSort ? head.ariaSort === "ascending" : head.classList.contains("n");
        order.column = head.cellIndex;
        for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
        head.ariaSort = order.down ? "descending" : "ascending";
        sort();
      });
    }
  }

  // --- log -------------------------------------------------------------------------------------------------------------
  const log = byId("log"), logOf = byId("log-of"), logFind = byId("log-find");
  function addLines(lines) {
    const wanted = logFind.value.toLowerCase();
    const part = document.createDocumentFragment();
    for (const text of lines) {
      const line = document.createElement("div");
      line.textContent = text;
      if (wanted && !text.toLowerCase().includes(wanted)) line.className = "out";
      part.append(line);
    }
    log.append(part);
    while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
    if (byId("log-stay").checked) log.scrollTop = log.scrollHeight;
  }
  function offerPods() {
    const chosen = logOf.value;
    const there = [...document.querySelectorAll("#pods [data-pod]")].map((row) => row.dataset.pod);
    const names = [...new Set(chosen && chosen !== "*" ? [...there, chosen] : there)];
    const offered = [...logOf.options].slice(2).map((option) => option.value);
    // A list that is open closes when it is made anew.
    if (names.join() === offered.join()) return;
    while (logOf.options.length > 2) logOf.remove(2);
    for (const name of names) logOf.add(new Option(name, name));
    logOf.value = chosen;
  }

  // --- the stream ------------------------------------------------------------------------------------------------------
  const { live, who } = document.body.dataset, link = byId("link");
  // `last`: how far this tab has come, which the server is told when it is asked again: so nothing is shown twice.
  let source = null, last = null;

  function say(state, text) {
    if (link.dataset.state === state && link.textContent === text) return;
    link.dataset.state = state;
    link.textContent = text;
  }
  function address() {
    const url = new URL(live, location.href);
    if (last) url.searchParams.set("since", last);
    if (logOf && logOf.value) url.searchParams.set("log", logOf.value);
    return url;
  }
  function take(event) {
    const message = JSON.parse(event.data);
    if (message.reload) return net.reload();
    last = event.lastEventId !== "0" ? event.lastEventId : null;
    const changes = message.patch || [];
    for (const change of changes) patch(change);
    if (body && changes.some((change) => change.into)) {
      if (order.column || order.down) {
        if (changes.some((change) => change.into && !change.seen)) sort();
      }
      sift(changes.filter((change) => change.into && change.html).map((change) => byId(change.id)).filter(Boolean));
    }
    for (const change of changes) {
      const shown = byId(change.id);
      if (shown) ages(shown);
    }
    if (log) {
      offerPods();
      if (message.log) addLines(message.log);
    }
  }
  function listen() {
    if (!live || document.hidden || signal.aborted) return;
    if (source) source.close();
    source = net.listen(address());
    source.onopen = () => say("live", "● live");
    source.onmessage = take;
    source.onerror = (why) => {
      say("lost", `▲ ${(typeof why === "string" && why) || `${who} does not answer`}`);
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    };
  }
  // A browser keeps six connections to one address: a tab that nobody sees must not hold one.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return listen();
    if (source) source.close();
    source = null;
    say("paused", "paused");
  }, { signal });
  if (logOf) {
    logOf.addEventListener("change", () => {
      log.replaceChildren();
      last = null;
      listen();
    });
    logFind.addEventListener("input", () => {
      const wanted = logFind.value.toLowerCase();
      for (const line of log.children) line.className = wanted && !line.textContent.toLowerCase().includes(wanted) ? "out" : "";
    });
  }

  // --- buttons ---------------------------------------------------------------------------------------------------------
  function sure(text) {
    const ask = byId("ask");
    byId("ask-text").textContent = text;
    ask.returnValue = "no";
    ask.showModal();
    return new Promise((done) => ask.addEventListener("close", () => done(ask.returnValue === "yes"), { once: true }));
  }
  // Some questions only the cluster can word: the server asks, does nothing, and is sent what a person agreed to.
  async function sent(url, words) {
    for (;;) {
      const answer = await net.send(url, { method: "POST", body: words, headers: { Accept: "application/json" } });
      const { ask, message } = await answer.json();
      if (!ask) return { ok: answer.ok, message };
      if (!(await sure(ask))) return { ok: true, message: "Nothing was done." };
      words.set("sure", ask);
    }
  }
  document.addEventListener("submit", async (event) => {
    const form = event.target, said = byId("said");
    if (!said || form.method !== "post") return;
    event.preventDefault();
    // As it is now: while a person is asked, the form may come to be about another version.
    const url = form.action, words = new URLSearchParams(new FormData(form));
    const button = form.querySelector("button"), label = button.textContent;
    if (form.dataset.confirm && !(await sure(form.dataset.confirm))) return goOnBeside(button);
    button.disabled = true;
    said.textContent = `${label} …`;
    delete said.dataset.bad;
    try {
      const { ok, message } = await sent(url, words);
      said.textContent = message;
      if (!ok) said.dataset.bad = "";
    } catch {
      said.textContent = `${who} does not answer: it is not known whether this was done.`;
      said.dataset.bad = "";
    }
    button.disabled = false;
    // An answer may take half a minute: who has gone on to something else stays there.
    if (document.activeElement && document.activeElement !== document.body) return;
    button.focus();
    goOnBeside(button);
  }, { signal });

  ages(document);
  const timer = setInterval(() => ages(document), 15000);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    if (source) source.close();
    source = null;
  });
  if (log) offerPods();
  if (live) listen();
  return () => over.abort();
  }

  return { start, trusted };
})();

if (document.body.dataset.live !== undefined) {
  wpool.start({
    send: (url, options) => fetch(url, options),
    listen: (url) => new EventSource(url),
    reload: () => location.reload(),
  });
}
