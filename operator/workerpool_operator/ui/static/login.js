// The page in the cluster: signs in with a token, which stays in this tab's memory, and sends it with every request.
// So there is nothing that a browser sends by itself: pages are fetched, and their body takes the place of this one.
"use strict";
(() => {
  const door = document.body.cloneNode(true);
  const OVER = "The cluster no longer accepts this token. Sign in with another one.";
  let token = "", namespace = "", stop = null;

  const net = {
    send(url, options = {}) {
      const headers = { ...options.headers, Authorization: `Bearer ${token}` };
      if (namespace) headers["Wpool-Namespace"] = namespace;
      return fetch(url, { ...options, headers, credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" });
    },
    listen: (url) => new Lines(url),
    reload: () => show(location.href),
  };

  // As an EventSource, which can send no token.
  class Lines {
    constructor(url) {
      this.readyState = 0;
      this.over = new AbortController();
      this.run(url);
    }
    close() {
      this.readyState = 2;
      this.over.abort();
    }
    async run(url) {
      let last = "";
      while (this.readyState !== 2) {
        let why = "";
        try {
          const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
          const answer = await net.send(url, { headers, signal: this.over.signal });
          if (answer.status === 401) return signOut(OVER);
          if (!answer.ok) {
            if (answer.headers.get("Content-Type").startsWith("text/plain")) why = await answer.text();
            throw new Error(answer.statusText);
          }
          this.readyState = 1;
          this.onopen();
          const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
          for (let rest = ""; ; ) {
            const { done, value } = await reader.read();
            if (done) break;
            const blocks = (rest + value).split("\n\n");
            rest = blocks.pop();
            for (const block of blocks) last = this.take(block, last);
          }
        } catch { /* tried again below */ }
        if (this.readyState === 2) return;
        this.readyState = 0;
        this.onerror(why);
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
    take(block, last) {
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) last = line.slice(4);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) this.onmessage({ data, lastEventId: last });
      return last;
    }
  }

  function replaced(body) {
    if (stop) stop();
    stop = null;
    document.body.replaceWith(body);
  }
  function signOut(why) {
    token = "";
    replaced(door.cloneNode(true));
    document.title = "WorkerPools";
    said(why);
    document.getElementById("token").focus();
  }
  function said(text) {
    document.getElementById("login-said").textContent = text;
  }

  async function show(url) {
    let answer, text;
    try {
      answer = await net.send(url, { headers: { Accept: "text/html" } });
      text = await answer.text();
    } catch {
      return "The page does not answer.";
    }
    if (answer.status === 401) return "The cluster does not accept this token.";
    const page = new DOMParser().parseFromString(wpool.trusted(text), "text/html");
    replaced(document.adoptNode(page.body));
    document.title = page.title;
    const out = document.createElement("button");
    out.className = "button";
    out.id = "sign-out";
    out.textContent = "Sign out";
    out.addEventListener("click", () => signOut(""));
    (document.querySelector(".top") || document.querySelector("main")).append(out);
    stop = wpool.start(net);
    const main = document.getElementById("main");
    if (main) main.focus();
    return "";
  }
  async function go(url) {
    const why = await show(url);
    if (why) signOut(why);
  }

  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "login") return;
    event.preventDefault();
    token = document.getElementById("token").value.trim();
    namespace = document.getElementById("namespace").value.trim();
    said("Signing in …");
    const why = await show(location.href);
    if (why) signOut(why);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || !token || event.ctrlKey || event.metaKey || event.shiftKey || link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    go(link.href);
  });
  addEventListener("popstate", () => token && go(location.href));
})();
