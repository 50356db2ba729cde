// A face as a lit surface in WebGL: one mesh from a grid of depth in millimetres, turned and zoomed by its caller.

const VERTEX_SHADER = `
attribute vec3 place;
attribute vec3 facing;
uniform mat3 turn;
uniform vec4 lens;
varying vec3 normal;
void main() {
  vec3 seen = turn * place;
  normal = turn * facing;
  float distance = lens.z - seen.z;
  gl_Position = vec4(seen.xy * lens.xy, (distance - lens.z) / lens.w * distance, distance);
}`;
const FRAGMENT_SHADER = `
precision mediump float;
varying vec3 normal;
uniform vec3 clay;
uniform float wrap;
void main() {
  vec3 n = normalize(normal) * (gl_FrontFacing ? 1.0 : -1.0);
  float key = max(0.0, (dot(n, normalize(vec3(-1.0, 1.2, 1.6))) + wrap) / (1.0 + wrap));
  float fill = max(0.0, dot(n, normalize(vec3(1.5, 0.2, 0.8))));
  vec3 colour = clay * (0.10 + 0.86 * key + 0.10 * fill);
  gl_FragColor = vec4(gl_FrontFacing ? colour : colour * 0.45, 1.0);
}`;

// Depth in millimetres of an 8-bit picture, and where it is a face: the far end of the depth range is background or invalid.
function depthOf(levels, scene) {
  const [near, far] = scene.window_mm;
  const limit = far - scene.light.far_share * (far - near);
  const depth = Float32Array.from(levels, (level) => near + (level / 255) * (far - near));
  return { depth, face: Uint8Array.from(depth, (mm) => (mm < limit ? 1 : 0)) };
}

// Separable Gaussian of a height x width grid, mirrored at the edges, four sigmas wide.
function blur(values, height, width, sigmaDown, sigmaAcross) {
  const pass = (source, length, lines, step, jump, sigma) => {
    const radius = Math.floor(4 * sigma + 0.5);
    const kernel = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
    const total = kernel.reduce((sum, weight) => sum + weight, 0);
    const result = new Float32Array(source.length);
    for (let line = 0; line < lines; line++) {
      for (let at = 0; at < length; at++) {
        let sum = 0;
        for (let k = -radius; k <= radius; k++) {
          let from = (((at + k) % (2 * length)) + 2 * length) % (2 * length);
          if (from >= length) from = 2 * length - 1 - from;
          sum += kernel[k + radius] * source[line * jump + from * step];
        }
        result[line * jump + at * step] = sum / total;
      }
    }
    return result;
  };
  return pass(pass(values, height, width, width, 1, sigmaDown), width, height, 1, width, sigmaAcross);
}

// Gaussian means over face pixels only, as the figures take them.
function smoothed(depth, face, scene) {
  const { height, width } = scene;
  const down = (scene.light.smooth_mm * height) / scene.height_mm;
  const across = (scene.light.smooth_mm * width) / scene.width_mm;
  const weight = blur(Float32Array.from(face), height, width, down, across);
  const total = blur(depth.map((mm, i) => (face[i] ? mm : 0)), height, width, down, across);
  return total.map((sum, i) => sum / Math.max(weight[i], 1e-3));
}

// Slope at i along `step`, from the neighbours that are face.
function slope(depth, face, i, step, before, after, pitch) {
  const ahead = after && face[i + step] ? step : 0;
  const behind = before && face[i - step] ? step : 0;
  return ahead + behind === 0 ? 0 : (depth[i + ahead] - depth[i - behind]) / (pitch * ((ahead + behind) / step));
}

// The mesh of a face: vertices of face pixels, no triangle over invalid depth or a jump.
function meshOf(levels, scene, smooth) {
  const { height, width } = scene;
  const [high, wide] = [scene.height_mm / height, scene.width_mm / width];
  const { depth: raw, face } = depthOf(levels, scene);
  const depth = smooth ? smoothed(raw, face, scene) : raw;
  const jump = Math.max(8, 4 * Math.max(high, wide));
  const middle = centre(depth, face, width);
  const place = new Float32Array(3 * depth.length);
  const facing = new Float32Array(3 * depth.length);
  for (let i = 0; i < depth.length; i++) {
    if (!face[i]) continue;
    const [row, column] = [Math.floor(i / width), i % width];
    place.set([(column - middle.column) * wide, (middle.row - row) * high, middle.depth - depth[i]], 3 * i);
    const right = slope(depth, face, i, 1, column > 0, column < width - 1, wide);
    const down = slope(depth, face, i, width, row > 0, row < height - 1, high);
    const length = Math.hypot(right, down, 1);
    facing.set([right / length, -down / length, 1 / length], 3 * i);
  }
  const triangles = [];
  const joined = (a, b, c) =>
    face[a] && face[b] && face[c] &&
    Math.max(depth[a], depth[b], depth[c]) - Math.min(depth[a], depth[b], depth[c]) < jump;
  for (let row = 0; row < height - 1; row++) {
    for (let column = 0; column < width - 1; column++) {
      const a = row * width + column;
      const [b, c, d] = [a + 1, a + width, a + width + 1];
      if (joined(a, c, b)) triangles.push(a, c, b);
      if (joined(b, c, d)) triangles.push(b, c, d);
    }
  }
  return { place, facing, triangles: Uint32Array.from(triangles) };
}

function centre(depth, face, width) {
  let [count, row, column, sum] = [0, 0, 0, 0];
  face.forEach((inside, i) => {
    if (!inside) return;
    count += 1;
    row += Math.floor(i / width);
    column += i % width;
    sum += depth[i];
  });
  return count ? { row: row / count, column: column / count, depth: sum / count } : { row: 0, column: 0, depth: 0 };
}

// A view on `canvas`, or null where there is no WebGL.
function surfaceView(canvas, scene) {
  const gl = canvas.getContext("webgl", { alpha: true, antialias: true });
  if (!gl || !gl.getExtension("OES_element_index_uint")) return null;
  const start = { yaw: -0.5, pitch: 0.1, zoom: 1 };
  const pose = { ...start };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let [program, buffers, shown, waiting] = [null, null, null, false];

  function compile() {
    program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    buffers = { place: gl.createBuffer(), facing: gl.createBuffer(), triangles: gl.createBuffer() };
  }

  function load() {
    for (const name of ["place", "facing"]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, shown[name], gl.STATIC_DRAW);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.triangles);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, shown.triangles, gl.STATIC_DRAW);
  }

  function draw() {
    waiting = false;
    if (!shown || gl.isContextLost() || !canvas.clientWidth) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.enable(gl.DEPTH_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(program);
    const at = (name) => gl.getUniformLocation(program, name);
    gl.uniformMatrix3fv(at("turn"), false, rotation());
    gl.uniform4fv(at("lens"), lens());
    gl.uniform3fv(at("clay"), dark.matches ? [0.86, 0.83, 0.79] : [0.8, 0.76, 0.71]);
    gl.uniform1f(at("wrap"), scene.light.wrap);
    for (const name of ["place", "facing"]) {
      const slot = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.triangles);
    gl.drawElements(gl.TRIANGLES, shown.triangles.length, gl.UNSIGNED_INT, 0);
  }

  // Column by column: first about the vertical axis, then about the horizontal one.
  function rotation() {
    const [cy, sy, cp, sp] = [Math.cos(pose.yaw), Math.sin(pose.yaw), Math.cos(pose.pitch), Math.sin(pose.pitch)];
    return [cy, sp * sy, -cp * sy, 0, cp, sp, sy, -sp * cy, cp * cy];
  }

  // Scale across and down, the camera's distance in millimetres, and half the depth that is kept.
  function lens() {
    const size = Math.max(scene.width_mm, scene.height_mm);
    const camera = 4 * size;
    const scale = (pose.zoom * 2 * camera) / size;
    const [width, height] = [canvas.width, canvas.height];
    const side = Math.min(1.3 * width, height); // a face leaves a third of its picture's width empty
    return [(scale * side) / width, (scale * side) / height, camera, 2 * size];
  }

  function redraw() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  compile();
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => { compile(); if (shown) load(); redraw(); });
  dark.addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(canvas);
  return {
    show(levels, smooth) { shown = meshOf(levels, scene, smooth); load(); redraw(); },
    turn(right, down) {
      pose.yaw += right;
      pose.pitch = Math.max(-1.4, Math.min(1.4, pose.pitch + down));
      redraw();
    },
    zoom(factor) { pose.zoom = Math.max(0.4, Math.min(8, pose.zoom * factor)); redraw(); },
    reset(front) { Object.assign(pose, start, front ? { yaw: 0, pitch: 0 } : {}); redraw(); },
  };
}
