// Converts text to bytes and back. QuickJS has no TextEncoder and no TextDecoder.

export function encode(text) {
  const bytes = encodeURIComponent(text).match(/%..|./g) ?? [];
  return Uint8Array.from(bytes, (byte) => (byte.length > 1 ? parseInt(byte.slice(1), 16) : byte.charCodeAt(0)));
}

// Throws a URIError if the bytes are not valid UTF-8.
export function decode(bytes) {
  return decodeURIComponent(Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""));
}
