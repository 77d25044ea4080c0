// An OpenID provider for tests: anyone may sign in, with any password. Those whose name begins with `operator` are in the group
// `operators`. Its arguments: the folder of the package oidc-provider, and where browsers may be sent back to.
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...redirects] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(join(folder, "lib", "index.js")).href);

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "dashboard", client_secret: "a secret: with /?&% in it", redirect_uris: redirects }],
    claims: { openid: ["sub"], email: ["email"], profile: ["groups"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: ["only a test"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, groups: id.startsWith("operator") ? ["operators"] : ["guests"] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
