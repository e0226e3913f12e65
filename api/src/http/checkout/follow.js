"use strict";
(() => {
  const root = document.documentElement;
  const parts = ["terms", "standing", "action", "more"];
  let wait = Number(root.dataset.every) * 1000;
  let timer;
  const later = () => { timer = wait && setTimeout(look, wait); };
  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, {
        headers: { "If-None-Match": root.dataset.tag },
        cache: "no-store",
      });
      if (answer.status === 200) {
        const text = await answer.text();
        const fresh = new DOMParser().parseFromString(text, "text/html");
        for (const id of parts) {
          const found = fresh.getElementById(id);
          if (!found) return;
          document.getElementById(id).replaceChildren(...found.childNodes);
        }
        const from = fresh.documentElement.dataset;
        Object.assign(root.dataset, { every: from.every, tag: from.tag, standing: from.standing });
        document.title = fresh.title;
        wait = Number(from.every) * 1000;
      } else {
        wait = Math.min(wait * 1.5, 60000);
      }
    } catch {
      wait = Math.min(wait * 2, 60000);
    }
    later();
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && wait) look(); });
  later();
})();
