// A certified OpenID provider with one application, for the tests. Its settings come as JSON in the first argument.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import Provider from "oidc-provider";

const { port, algorithm, clients, audience, people } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const kinds = { RS256: ["rsa", { modulusLength: 2048 }], ES256: ["ec", { namedCurve: "P-256" }] };
const { privateKey } = generateKeyPairSync(...kinds[algorithm]);
const key = { ...privateKey.export({ format: "jwk" }), alg: algorithm, use: "sig", kid: randomBytes(8).toString("hex") };

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ ...client, id_token_signed_response_alg: algorithm })),
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  enabledJWA: { idTokenSigningAlgValues: [algorithm] },
  clientDefaults: { id_token_signed_response_alg: algorithm },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  claims: {
    openid: ["sub", "tenant_id", "groups"],
    email: ["email", "email_verified"],
    profile: ["name"],
  },
  // Into the ID token itself, as the providers of the documentation do it.
  conformIdTokenClaims: false,
  extraTokenClaims: (_, token) => {
    const { tenant_id, groups } = people[token.accountId];
    return { tenant_id, groups };
  },
  // Without its guard against private addresses: what it is to tell of ended sessions is on loopback.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  ttl: { AccessToken: 300, IdToken: 300, Grant: 3600, Session: 3600, Interaction: 600 },
  features: {
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        audience, scope: "api", accessTokenFormat: "jwt", jwt: { sign: { alg: algorithm } },
      }),
    },
  },
});

for (const failure of ["server_error", "backchannel.error", "authorization.error", "grant.error"]) {
  provider.on(failure, (_, error) => console.error(`${failure}: ${error.error_description ?? error.message}`));
}
provider.listen(port, "127.0.0.1", () => console.log(`ready ${issuer}`));
