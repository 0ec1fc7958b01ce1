// The page of a segmentation's surface: draws what stands in #data with three.js (global THREE, before this script). Coordinates are the
// patient's, as in DICOM: x to the left, y to the back, z to the head, in mm.
"use strict";
(() => {
  const TEXT = {
    en: {
      title: "3D surface of a segmentation", mark: "AI-generated, for research use only", segments: "Segments", opacity: "Opacity", look: "Look from",
      hint: "Turn: drag, or one finger. Zoom: wheel, or two fingers. Move: right button, or two fingers. Arrow keys turn too.",
      sides: { A: "front", P: "back", R: "right", L: "left", H: "head", F: "feet" },
      legend: "R right and L left of the patient, A front, P back, H head, F feet.",
      scale: "The surface is smoothed; each part keeps the volume of its voxels.",
      webgl: "This browser cannot draw in 3D: WebGL 2 is missing or switched off.",
      view: "3D view", empty: "No voxel is inside: there is no surface.",
    },
    ko: {
      title: "분할 결과의 3D 표면", mark: "AI가 생성한 결과이며 연구용으로만 사용합니다", segments: "분할 영역", opacity: "불투명도", look: "보는 방향",
      hint: "회전: 끌기 또는 한 손가락. 확대/축소: 휠 또는 두 손가락. 이동: 오른쪽 버튼 또는 두 손가락. 화살표 키로도 회전합니다.",
      sides: { A: "앞", P: "뒤", R: "오른쪽", L: "왼쪽", H: "머리", F: "발" },
      legend: "R 환자의 오른쪽, L 왼쪽, A 앞, P 뒤, H 머리, F 발.",
      scale: "표면은 평활화되었으며, 각 부분은 복셀의 부피를 유지합니다.",
      webgl: "이 브라우저는 3D를 그릴 수 없습니다. WebGL 2가 없거나 꺼져 있습니다.",
      view: "3D 보기", empty: "영역 안에 복셀이 없어 표면이 없습니다.",
    },
  };
  const language = (navigator.language || "en").toLowerCase().startsWith("ko") ? "ko" : "en";
  const text = TEXT[language];
  const byId = (id) => document.getElementById(id);
  document.documentElement.lang = language;
  document.title = text.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text[element.dataset.text];

  const { segments } = JSON.parse(byId("data").textContent);
  const view = byId("view");
  const fail = (message) => { byId("problem").textContent = message; byId("problem").hidden = false; };
  if (segments.length === 0) { fail(text.empty); return; }

  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ antialias: true });
  } catch {
    fail(text.webgl);
    return;
  }
  renderer.setClearColor(0x10151a);
  const canvas = renderer.domElement;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${text.view}. ${text.legend}`);
  view.append(canvas);

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
  const low = new THREE.Vector3(Infinity, Infinity, Infinity);
  const high = low.clone().negate();
  for (const { origin, extent } of segments) {
    low.min(new THREE.Vector3(...origin));
    high.max(new THREE.Vector3(...origin).add(new THREE.Vector3(...extent)));
  }
  const centre = low.clone().add(high).multiplyScalar(0.5);
  const half = high.clone().sub(low).multiplyScalar(0.5);
  const radius = Math.max(half.length(), 1);

  const scene = new THREE.Scene();
  const camera = new THREE.PerspectiveCamera(35, 1, radius / 50, radius * 50);
  camera.up.set(0, 0, 1);
  const lamp = new THREE.DirectionalLight(0xffffff, 2.2);
  scene.add(new THREE.AmbientLight(0xffffff, 0.9), lamp);

  // Everything is drawn around the centre: far from the origin the graphics card's numbers are coarse.
  const mesh = ({ color, origin, extent, positions, triangles }) => {
    const steps = new Uint16Array(bytes(positions));
    const places = new Float32Array(steps.length);
    const start = [origin[0] - centre.x, origin[1] - centre.y, origin[2] - centre.z];
    for (let i = 0; i < steps.length; i += 1) places[i] = start[i % 3] + (steps[i] / 65535) * extent[i % 3];
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(places, 3));
    geometry.setIndex(new THREE.BufferAttribute(new Uint32Array(bytes(triangles)), 1));
    geometry.computeVertexNormals();
    const material = new THREE.MeshStandardMaterial({ color: new THREE.Color(color), roughness: 0.55, metalness: 0 });
    const made = new THREE.Mesh(geometry, material);
    // What is seen through is drawn from the inside out.
    made.renderOrder = Math.hypot(...extent);
    return made;
  };

  const letter = (character, place) => {
    const picture = document.createElement("canvas");
    picture.width = 64;
    picture.height = 64;
    const pen = picture.getContext("2d");
    pen.font = "bold 44px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 8;
    pen.strokeStyle = "#10151a";
    pen.strokeText(character, 32, 34);
    pen.fillStyle = "#ffd873";
    pen.fillText(character, 32, 34);
    const sprite = new THREE.Sprite(new THREE.SpriteMaterial({ map: new THREE.CanvasTexture(picture), depthTest: false, transparent: true }));
    sprite.position.copy(place);
    sprite.scale.setScalar(radius * 0.16);
    sprite.renderOrder = Infinity;
    return sprite;
  };

  const SIDES = { A: [0, -1, 0], P: [0, 1, 0], R: [-1, 0, 0], L: [1, 0, 0], H: [0, 0, 1], F: [0, 0, -1] };
  const ends = [];
  for (const [character, direction] of Object.entries(SIDES)) {
    const axis = new THREE.Vector3(...direction);
    const inside = half.clone().multiply(axis);
    const outside = inside.clone().add(axis.clone().multiplyScalar(radius * 0.14));
    ends.push(...inside.toArray(), ...outside.toArray());
    scene.add(letter(character, inside.clone().add(axis.multiplyScalar(radius * 0.24))));
  }
  const lines = new THREE.BufferGeometry();
  lines.setAttribute("position", new THREE.BufferAttribute(new Float32Array(ends), 3));
  scene.add(new THREE.LineSegments(lines, new THREE.LineBasicMaterial({ color: 0x7d8a96 })));

  // The slice that is read beside this page, where one shows it in a frame: `{plane: [four corners in mm]}`, null for none.
  const slice = [
    [THREE.Mesh, [0, 1, 2, 0, 2, 3], new THREE.MeshStandardMaterial({ color: 0x85bdf2, emissive: 0x85bdf2, transparent: true, opacity: 0.22, side: 2, depthWrite: false })], // 2: both sides
    [THREE.LineSegments, [0, 1, 1, 2, 2, 3, 3, 0], new THREE.LineBasicMaterial({ color: 0x85bdf2 })],
  ].map(([Kind, index, material]) => {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(12), 3));
    geometry.setIndex(index);
    const part = new Kind(geometry, material);
    part.visible = false;
    part.renderOrder = radius * 4;
    part.frustumCulled = false; // its place changes
    scene.add(part);
    return part;
  });
  const showPlane = (corners) => {
    for (const part of slice) part.visible = false;
    const valid = Array.isArray(corners) && corners.length === 4 && corners.every((corner) => Array.isArray(corner) && corner.length === 3 && corner.every(Number.isFinite));
    if (!valid) return;
    const [first, second, , last] = corners.map((corner) => new THREE.Vector3(...corner).sub(centre));
    // As much of it as lies around the surface: a whole slice would hide all else.
    const sides = [second, last].map((end) => end.clone().sub(first));
    const shares = sides.map((side) => {
      const length = side.length();
      const middle = side.dot(first) / -length;
      return [Math.max(middle - radius * 1.3, 0) / length, Math.min(middle + radius * 1.3, length) / length];
    });
    if (!shares.every(([from, to]) => from < to)) return;
    const [[left, right], [top, bottom]] = shares;
    const places = [[left, top], [right, top], [right, bottom], [left, bottom]].flatMap(([across, down]) => first.clone().addScaledVector(sides[0], across).addScaledVector(sides[1], down).toArray());
    for (const part of slice) {
      part.geometry.attributes.position.array.set(places);
      part.geometry.attributes.position.needsUpdate = true;
      if (part.isMesh) part.geometry.computeVertexNormals();
      part.visible = true;
    }
  };
  window.addEventListener("message", (event) => {
    if (window.parent === window || event.source !== window.parent) return;
    showPlane(event.data?.plane);
    view.dataset.plane = String(slice[0].visible);
    draw();
  });

  const controls = new THREE.OrbitControls(camera, canvas);
  let waiting = false;
  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      lamp.position.copy(camera.position);
      renderer.render(scene, camera);
    });
  };
  controls.addEventListener("change", draw);

  const lookFrom = (side) => {
    const direction = new THREE.Vector3(...SIDES[side]);
    // From above and below the front is up; a little askew, since there "up" says nothing.
    if (direction.z !== 0) direction.y -= 1e-3 * direction.z;
    const fit = Math.sin((camera.fov * Math.PI) / 360) * Math.min(1, camera.aspect);
    camera.position.copy(direction.normalize().multiplyScalar((radius * 1.25) / fit));
    controls.target.set(0, 0, 0);
    controls.update();
    draw();
  };
  const TURN = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const turn = TURN[event.key];
    if (!turn) return;
    event.preventDefault();
    const { x, y, z } = camera.position;
    const distance = Math.hypot(x, y, z);
    const around = Math.atan2(y, x) + turn[0] * 0.1;
    const above = Math.min(Math.max(Math.acos(z / distance) + turn[1] * 0.1, 0.01), Math.PI - 0.01);
    camera.position.set(distance * Math.sin(above) * Math.cos(around), distance * Math.sin(above) * Math.sin(around), distance * Math.cos(above));
    controls.update();
    draw();
  });

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const volume = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  for (const segment of segments) {
    const made = mesh(segment);
    scene.add(made);
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = segment.color;
    const shown = element("input", { type: "checkbox", checked: true, id: `shown-${segment.number}` });
    shown.addEventListener("change", () => { made.visible = shown.checked; draw(); });
    const opacity = element("input", { type: "range", min: 5, max: 100, step: 5, value: 100 });
    opacity.addEventListener("input", () => {
      const { material } = made;
      material.opacity = Number(opacity.value) / 100;
      material.transparent = material.opacity < 1;
      material.depthWrite = !material.transparent;
      material.needsUpdate = true;
      draw();
    });
    byId("segments").append(element("li", {}, shown, swatch,
      element("label", { htmlFor: shown.id, textContent: segment.label }),
      element("span", { className: "volume", textContent: `${volume.format(segment.volumeMl)} mL` }),
      element("label", { className: "opacity" }, element("span", { className: "muted", textContent: text.opacity }), opacity)));
  }
  for (const side of Object.keys(SIDES)) {
    const button = element("button", { type: "button", textContent: side, title: text.sides[side] });
    button.setAttribute("aria-label", `${text.look}: ${text.sides[side]}`);
    button.addEventListener("click", () => lookFrom(side));
    byId("sides").append(button);
  }

  let before = 0;
  const resize = () => {
    const { clientWidth: width, clientHeight: height } = view;
    if (width === 0 || height === 0) return;
    renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    renderer.setSize(width, height);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    if (before === 0) lookFrom("A");
    before = width;
    draw();
  };
  new ResizeObserver(resize).observe(view);
  canvas.addEventListener("webglcontextrestored", draw);
  resize();
})();
