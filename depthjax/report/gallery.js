// The gallery: faces drawn when they come into view, filtered by set and emotion, opened as a surface.

// A sheet's faces as 8-bit depth, decoded once.
function facesOf(sheet, scene) {
  sheet.faces ??= (async () => {
    const { height, width } = scene;
    const picture = new Image();
    picture.src = sheet.png;
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width, height: height * sheet.count });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, width, height * sheet.count).data;
    const size = height * width;
    return Array.from({ length: sheet.count }, (_, n) =>
      Uint8Array.from({ length: size }, (_, i) => pixels[4 * (n * size + i)]));
  })();
  return sheet.faces;
}

// Everything that no way over background leads to from the picture's edge.
function outlined(face, height, width) {
  const inside = new Uint8Array(face.length).fill(1);
  const open = [];
  const visit = (i) => { if (inside[i] && !face[i]) { inside[i] = 0; open.push(i); } };
  for (let c = 0; c < width; c++) { visit(c); visit((height - 1) * width + c); }
  for (let r = 0; r < height; r++) { visit(r * width); visit(r * width + width - 1); }
  while (open.length) {
    const i = open.pop();
    if (i % width > 0) visit(i - 1);
    if (i % width < width - 1) visit(i + 1);
    if (i >= width) visit(i - width);
    if (i + width < face.length) visit(i + width);
  }
  return inside;
}

// The lit relief of the figures (`shade`), see-through outside the face's outline.
function relief(levels, scene) {
  const { height, width, light } = scene;
  const [high, wide] = [scene.height_mm / height, scene.width_mm / width];
  const { depth, face } = depthOf(levels, scene);
  const smooth = smoothed(depth, face, scene);
  const everywhere = new Uint8Array(face.length).fill(1);
  const cover = blur(Float32Array.from(face), height, width, 0.5, 0.5);
  const inside = blur(Float32Array.from(outlined(face, height, width)), height, width, 0.5, 0.5);
  const picture = new ImageData(width, height);
  for (let i = 0; i < face.length; i++) {
    const [row, column] = [Math.floor(i / width), i % width];
    const right = light.exaggeration * slope(smooth, everywhere, i, 1, column > 0, column < width - 1, wide);
    const down = light.exaggeration * slope(smooth, everywhere, i, width, row > 0, row < height - 1, high);
    const facing = (light.from[0] * right + light.from[1] * down + light.from[2]) / Math.hypot(right, down, 1);
    const lit = light.brightest * Math.min(1, Math.max(0, (facing + light.wrap) / (1 + light.wrap)));
    const opaque = 1 - (1 - cover[i]) * (1 - inside[i]);
    const grey = opaque ? (cover[i] * lit + (1 - cover[i]) * inside[i] * light.hole) / opaque : 0;
    picture.data.set([grey, grey, grey, 255 * opaque], 4 * i);
  }
  return picture;
}

function greyDepth(levels, scene) {
  const picture = new ImageData(scene.width, scene.height);
  levels.forEach((level, i) => picture.data.set([level, level, level, 255], 4 * i));
  return picture;
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function openGallery(scene) {
  const place = document.getElementById("gallery");
  const count = document.getElementById("gallery-count");
  const views = { relief, depth: greyDepth };
  let view = "relief";
  const groups = [];

  function groupOf(set, sheet) {
    const emotion = scene.emotions[sheet.emotion];
    const faces = make("div", { className: "tiles" });
    faces.setAttribute("role", "group");
    faces.setAttribute("aria-label", `${set.name}, ${emotion}`);
    const group = { set: set.id, emotion: sheet.emotion, sheet, tiles: [], drawn: null };
    for (let n = 0; n < sheet.count; n++) {
      const canvas = make("canvas", { width: scene.width, height: scene.height });
      const tile = make("button", { type: "button", className: "tile", tabIndex: n ? -1 : 0 }, canvas);
      const title = `${set.name}, ${emotion}, ${n + 1} of ${sheet.count}`;
      tile.setAttribute("aria-label", `${title}: open as a surface`);
      tile.setAttribute("aria-haspopup", "dialog");
      tile.addEventListener("click", () => surface.open(tile));
      tile.face = { sheet, n, title, group };
      group.tiles.push(tile);
    }
    faces.append(...group.tiles);
    faces.addEventListener("keydown", (event) => walk(event, group.tiles));
    group.element = make("div", { className: "row" }, make("div", { className: "who", textContent: set.name }), faces);
    return group;
  }

  // Arrow keys walk the faces of a row; Tab leaves it.
  function walk(event, tiles) {
    const at = tiles.indexOf(document.activeElement);
    const across = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -at, End: tiles.length - 1 - at };
    if (at < 0 || !(event.key in steps)) return;
    event.preventDefault();
    focusTile(tiles, Math.max(0, Math.min(tiles.length - 1, at + steps[event.key])));
  }

  function focusTile(tiles, at) {
    tiles.forEach((tile, n) => { tile.tabIndex = n === at ? 0 : -1; });
    tiles[at].focus();
  }

  async function draw(group) {
    const wanted = view;
    if (group.drawn === wanted) return;
    group.drawn = wanted;
    const faces = await facesOf(group.sheet, scene);
    for (const [n, tile] of group.tiles.entries()) {
      if (group.drawn !== wanted) return;
      tile.firstChild.getContext("2d").putImageData(views[wanted](faces[n], scene), 0, 0);
      if (n % 8 === 7) await new Promise((done) => setTimeout(done)); // let the page breathe
    }
    group.element.dataset.drawn = wanted;
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(groups.find((group) => group.element === entry.target));
  }, { rootMargin: "300px" });

  function pressed(kind) {
    return new Set(Array.from(document.querySelectorAll(`[data-${kind}][aria-pressed="true"]`), (b) => b.dataset[kind]));
  }

  function update() {
    const [sets, emotions] = [pressed("set"), pressed("emotion")];
    let [shown, all] = [0, 0];
    for (const group of groups) {
      const visible = sets.has(group.set) && emotions.has(String(group.emotion));
      group.element.hidden = !visible;
      all += group.tiles.length;
      shown += visible ? group.tiles.length : 0;
    }
    for (const part of place.querySelectorAll(".emotion")) part.hidden = !part.querySelector(".row:not([hidden])");
    const hint = shown ? "" : ": choose at least one set and one emotion";
    count.textContent = `${shown} of ${all} faces shown${hint}`;
    for (const kind of ["set", "emotion"]) {
      const others = document.querySelectorAll(`[data-${kind}]`).length - pressed(kind).size;
      document.querySelector(`[data-all="${kind}"]`).setAttribute("aria-pressed", String(!others));
    }
  }

  function show(name) {
    view = name;
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === name));
    }
    place.dataset.shown = name;
    for (const { element } of groups) { seen.unobserve(element); seen.observe(element); }
  }

  for (const [label, name] of scene.emotions.entries()) {
    const part = make("div", { className: "emotion" }, make("h3", { textContent: name }));
    for (const set of scene.sets) {
      const sheet = set.sheets.find((one) => one.emotion === label);
      if (!sheet) continue;
      groups.push(groupOf(set, sheet));
      part.append(groups.at(-1).element);
    }
    if (part.children.length > 1) place.append(part);
  }
  const surface = openSurface(scene, () => groups.filter((g) => !g.element.hidden).flatMap((g) => g.tiles), focusTile);
  for (const button of document.querySelectorAll("[data-set], [data-emotion]")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      update();
    });
  }
  for (const button of document.querySelectorAll("[data-all]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true"; // all, and again: none, to pick a few
      for (const one of document.querySelectorAll(`[data-${button.dataset.all}]`)) one.setAttribute("aria-pressed", String(on));
      update();
    });
  }
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => show(button.dataset.view));
  }
  update();
  show("relief");
  document.getElementById("gallery-controls").hidden = false;
}

// The dialog of one face: drag, pinch, wheel, keys and buttons move it.
function openSurface(scene, visible, focusTile) {
  const dialog = document.getElementById("surface");
  const canvas = dialog.querySelector("canvas");
  const title = dialog.querySelector("h2");
  const button = (name) => dialog.querySelector(`[data-do="${name}"]`);
  const fingers = new Map();
  let [current, smooth, three] = [null, true, undefined];

  async function show(tile) {
    current = tile;
    title.textContent = tile.face.title;
    canvas.setAttribute("aria-label", `The depth surface of ${tile.face.title}`);
    const faces = await facesOf(tile.face.sheet, scene);
    if (current === tile) three.show(faces[tile.face.n], smooth);
  }

  function step(by) {
    const tiles = visible();
    show(tiles[(tiles.indexOf(current) + by + tiles.length) % tiles.length]);
  }

  const actions = {
    ArrowLeft: () => three.turn(-0.12, 0), ArrowRight: () => three.turn(0.12, 0),
    ArrowUp: () => three.turn(0, -0.12), ArrowDown: () => three.turn(0, 0.12),
    "+": () => three.zoom(1.15), "=": () => three.zoom(1.15), "-": () => three.zoom(1 / 1.15), "\u2212": () => three.zoom(1 / 1.15),
    Home: () => three.reset(true), PageUp: () => step(-1), PageDown: () => step(1),
  };
  dialog.addEventListener("keydown", (event) => {
    if (!three || event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  });
  button("close").addEventListener("click", () => dialog.close());
  button("previous").addEventListener("click", () => step(-1));
  button("next").addEventListener("click", () => step(1));
  button("front").addEventListener("click", () => three.reset(true));
  button("nearer").addEventListener("click", () => three.zoom(1.25));
  button("farther").addEventListener("click", () => three.zoom(1 / 1.25));
  button("smooth").addEventListener("click", () => {
    smooth = !smooth;
    button("smooth").setAttribute("aria-pressed", String(smooth));
    show(current);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    const tiles = current.face.group.tiles;
    focusTile(tiles, tiles.indexOf(current));
  });

  function spread() {
    const [a, b] = fingers.values();
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!three || !last) return;
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) three.zoom(spread() / Math.max(1, apart));
    else three.turn((event.clientX - last.clientX) / 120, (event.clientY - last.clientY) / 120);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (three) three.zoom(Math.exp(-event.deltaY / 600));
  }, { passive: false });

  return {
    open(tile) {
      dialog.showModal();
      three ??= surfaceView(canvas, scene);
      for (const control of dialog.querySelectorAll("[data-3d]")) control.hidden = !three;
      dialog.querySelector(".missing").hidden = Boolean(three);
      if (!three) { current = tile; title.textContent = tile.face.title; return; }
      three.reset(false);
      canvas.focus();
      show(tile);
    },
  };
}

const galleryData = document.getElementById("gallery-data");
if (galleryData) openGallery(JSON.parse(galleryData.textContent));
