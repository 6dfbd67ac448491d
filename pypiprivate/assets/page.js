const all = (selector) => [...document.querySelectorAll(selector)];

// The index is one step up. No name and password in it, and nothing that a shell reads as more than a URL.
const index = new URL("..", location);
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

const sizeOf = (bytes) => {
  const unit = Math.log10(bytes || 1) / 3 | 0;
  return ` ${+(bytes / 1000 ** unit).toFixed(1)} ${" kMGTPE"[unit].trim()}B`;
};

// Projects, or files: what is said of a release in the first line of its row is said of each.
const items = all("li").map((item) => {
  const row = item.closest("tr"), link = item.firstChild;
  const text = `${row ? row.textContent.split("\n")[0] : ""} ${item.textContent}`.toLowerCase();
  if (row) {
    link.after(sizeOf(link.dataset.size));
    row.size = (row.size || 0) + +link.dataset.size;
    row.cells[3].textContent = sizeOf(row.size);
  }
  return { item, row: row || item, text };
});

const [box] = all("input"), [newest] = all("tr [open]");
box.parentNode.hidden = !items[0];
box.oninput = () => {
  const words = box.value.toLowerCase().split(/\s+/);
  const found = items.filter(({ item, row, text }) => {
    row.hidden = true;
    return !(item.hidden = !words.every((word) => text.includes(word)));
  });
  for (const { row } of found) row.hidden = false;
  for (const each of all("tr details")) each.open = each == newest || (box.value && found.length < 50);
  all("output")[0].value = `${found.length} of ${items.length}`;
};

onkeydown = (event) => {
  if (event.key == "Escape") box.oninput(box.value = "");
  if (event.key == "/" && event.target != box) {
    box.focus();
    return false;
  }
};
