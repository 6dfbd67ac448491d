const all = (selector) => document.querySelectorAll(selector),
  [box] = all("input"), [output] = all("output"), [newest] = all("tr [open]"),
  index = new URL("..", location);

// The index is one step up. No name and password in it, and nothing that a shell reads as more than a URL.
index.username = index.password = "";
for (const place of all("var")) place.textContent = index.href.replace(/['$&;()!]/g, escape);

for (const command of all("pre")) {
  const button = document.createElement("button");
  button.textContent = "Copy";
  // Not navigator.clipboard, which there is over TLS only.
  button.onclick = () => {
    getSelection().selectAllChildren(command);
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  };
  command.after(button);
}

const sizeOf = (size, unit = 0) =>
  size < 1000 ? ` ${+(+size).toFixed(1)} ${" kMGTPE"[unit].trim()}B` : sizeOf(size / 1000, unit + 1);

// What anchors say is made columns of. What is said of a release in the first line of its row is said of each of its files.
const items = [...all("a")].map((link) => {
  const item = link.parentNode, row = link.closest("tr") || item, { size, uploadTime, requiresPython } = link.dataset;
  if (size) {
    const [version, time, python, total] = row.cells;
    version.textContent ||= link.text.split("-")[1].replace(/.tar.gz$|.zip$/, "");
    time.textContent = [time.textContent, uploadTime?.slice(0, 10)].filter(Boolean).sort()[0];
    python.textContent ||= requiresPython;
    total.textContent = sizeOf(row.size = (row.size || 0) + +size);
    link.after(sizeOf(size));
  }
  return { item, row, text: `${row.textContent.split("\n")[0]} ${item.textContent}`.toLowerCase() };
});

box.parentNode.hidden = !items[0];
box.oninput = () => {
  const words = box.value.toLowerCase().split(" ");
  const found = items.filter(({ item, row, text }) => {
    row.hidden = true;
    return !(item.hidden = !words.every((word) => text.includes(word)));
  });
  for (const { row } of found) row.hidden = false;
  for (const each of all("tr details")) each.open = each == newest || (box.value && found.length < 50);
  output.value = `${found.length} of ${items.length}`;
};

// What returns false is not typed.
onkeydown = ({ key, target }) => {
  if (key == "Escape") box.oninput(box.value = "");
  else if (key == "/" && target != box) return !!box.focus();
};
