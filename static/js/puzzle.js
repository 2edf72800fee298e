// Solves the puzzle before a request (ALTCHA, version 2, with PBKDF2): tries one number after the other until the key
// that is derived from it begins as the puzzle says. The browser derives keys beside the page, which stays responsive.
// Used by the portal's form and, joined with widget.js, on other sites. Fails where the page is not served by https.

async function solvePuzzle(challenge) {
  const { cost, keyLength, keyPrefix, nonce, salt } = challenge.parameters;
  const { subtle } = crypto;
  if (!subtle) throw new Error("This page is not secure, so the browser offers no cryptography.");
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const [start, salted] = [bytes(nonce), bytes(salt)];

  async function tried(counter) {
    const password = new Uint8Array(start.length + 4);
    password.set(start);
    new DataView(password.buffer).setUint32(start.length, counter);
    const key = await subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt: salted, iterations: cost };
    const derived = new Uint8Array(await subtle.deriveBits(how, key, keyLength * 8));
    const derivedKey = Array.from(derived, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { counter, derivedKey };
  }

  for (let counter = 0; ; counter += 8) { // some at once, for the browser's other threads
    const found = await Promise.all(Array.from({ length: 8 }, (_, step) => tried(counter + step)));
    const solution = found.find(({ derivedKey }) => derivedKey.startsWith(keyPrefix));
    if (solution) return btoa(JSON.stringify({ challenge, solution }));
  }
}
