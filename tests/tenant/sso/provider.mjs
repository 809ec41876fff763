// SPDX-License-Identifier: Apache-2.0
// A certified OpenID provider on a free port of this machine, that takes any password. The argument is JSON: `clients`
// as they register, and `accounts` with the claims of each. Prints its issuer, and ends when its input does.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { clients, accounts } = JSON.parse(process.argv[1]);
const algorithms = ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"];
const pairs = [
  generateKeyPairSync("rsa", { modulusLength: 2048 }),
  generateKeyPairSync("ec", { namedCurve: "P-256" }),
  generateKeyPairSync("ed25519"),
];

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients,
    jwks: { keys: pairs.map(({ privateKey }) => privateKey.export({ format: "jwk" })) },
    cookies: { keys: ["of a test"] },
    claims: { email: ["email", "email_verified"], profile: ["name"] },
    // Many providers put the address into the ID token.
    conformIdTokenClaims: false,
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
    findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
  });
  server.on("request", provider.callback());
  console.log(provider.issuer);
});
process.stdin.on("end", () => process.exit()).resume();
