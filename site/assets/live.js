// Live reload of `catalog-gen serve`: reloads the page when it changed, and shows what is wrong
// with the declarations over it. Never part of a built site.
(() => {
  const root = new URL("../", document.currentScript.src);
  const shown = new URL(document.currentScript.src).searchParams.get("page");

  let problems = [];

  const isOutdated = async () => {
    for (let looks = 1; ; looks += 1) {
      const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => null);
      const now = answer?.headers.get("etag");
      if (answer?.status !== 404) return Boolean(now) && now !== `"${shown}"`;
      // A table with a mistake has no page; the one of before is better to look at than none.
      if (problems.length > 0) return false;
      // An editor may have emptied the file and be about to write it.
      if (looks > 1) return Boolean(now) && now !== `"${shown}"`;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };

  const overlay = (problems) => {
    document.getElementById("nl-overlay")?.remove();
    if (problems.length === 0) return;
    const box = document.createElement("div");
    box.id = "nl-overlay";
    box.setAttribute("role", "alert");
    box.style.cssText =
      "position:fixed;inset:auto 0 0 0;max-height:60vh;overflow:auto;z-index:99;margin:0;padding:16px 20px;" +
      "background:#1b1012;color:#ffe9e6;border-top:3px solid #ff5d4d;font:13px/1.5 ui-monospace,monospace;box-shadow:0 -8px 40px #0008";
    const title = document.createElement("strong");
    title.textContent =
      problems.length === 1 ? "1 error in the declarations" : `${problems.length} errors in the declarations`;
    const close = document.createElement("button");
    close.textContent = "Hide";
    close.style.cssText =
      "float:right;font:inherit;color:inherit;background:none;border:1px solid currentColor;border-radius:6px;padding:2px 10px;cursor:pointer";
    close.addEventListener("click", () => box.remove());
    box.append(close, title);
    for (const problem of problems) {
      const text = document.createElement("pre");
      text.style.cssText = "margin:12px 0 0;white-space:pre-wrap;color:inherit;background:none;border:0;padding:0";
      text.textContent = problem;
      box.append(text);
    }
    document.body.append(box);
  };

  const events = new EventSource(new URL("live-events", root));
  events.addEventListener("update", async (event) => {
    ({ problems } = JSON.parse(event.data));
    if (await isOutdated()) location.reload();
    else overlay(problems);
  });
})();
