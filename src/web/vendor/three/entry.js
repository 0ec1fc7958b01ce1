// What the page of a 3D surface uses of three.js; scripts/vendor_three.sh makes three.min.js of it.
export { AmbientLight, BufferAttribute, BufferGeometry, CanvasTexture, Color, DirectionalLight, LineBasicMaterial, LineSegments, Mesh, MeshStandardMaterial, PerspectiveCamera, Scene, Sprite, SpriteMaterial, Vector3, WebGLRenderer } from "three";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
