/** Names that a CA may certify (RFC 5280 §4.2.1.10). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OID } from "../../../../identity/pki/certificate_profile.ts";
import { extensionsOf } from "../../../../identity/pki/extension_writer.ts";
import {
  type CertificateNames,
  forbiddenName,
  type NameConstraints,
  type NameSubtree,
  readNameConstraints,
} from "../../../../identity/pki/name_constraints.ts";

const only = (...permitted: NameSubtree[]): NameConstraints => ({ permitted, excluded: [] });
const not = (...excluded: NameSubtree[]): NameConstraints => ({ permitted: [], excluded });
const dns = (base: string): NameSubtree => ({ form: "dns", base });
const uri = (base: string): NameSubtree => ({ form: "uri", base });
const ip = (...base: number[]): NameSubtree => ({ form: "ip", base: Uint8Array.from(base) });

/**
 * Reports whether the constraints allow one name: a host name, a URI or the bytes of an address.
 */
function allows(constraints: NameConstraints, name: string | number[]): boolean {
  const names: CertificateNames = {
    dns: typeof name === "string" && !name.includes(":") ? [name] : [],
    uris: typeof name === "string" && name.includes(":") ? [name] : [],
    ips: typeof name === "string" ? [] : [Uint8Array.from(name)],
  };
  return forbiddenName(names, constraints) === undefined;
}

test("a DNS subtree covers its name and all labels before it", () => {
  for (
    const constraints of [only(dns("example.com")), only(dns("a.example"), dns("example.com"))]
  ) {
    for (const name of ["example.com", "a.example.com", "a.b.example.com"]) {
      assert.ok(allows(constraints, name));
    }
    for (const name of ["notexample.com", "example.com.org", "com"]) {
      assert.not(allows(constraints, name));
    }
  }
  assert.not(allows(only(dns(".example.com")), "example.com"));
  assert.ok(allows(only(dns(".example.com")), "a.example.com"));
  assert.ok(allows(only(dns("")), "anything.example"));
});

test("an excluded name is forbidden even if a permitted subtree contains it", () => {
  const constraints = { ...only(dns("example.com")), excluded: [dns("secret.example.com")] };
  assert.ok(allows(constraints, "a.example.com"));
  assert.not(allows(constraints, "secret.example.com"));
  assert.not(allows(constraints, "a.secret.example.com"));
  assert.not(allows(not(dns("")), "a.example"));
});

test("a subtree of one form says nothing of the others", () => {
  assert.ok(allows(only(dns("example.com")), [192, 0, 2, 1]));
  assert.ok(allows(only(ip(10, 0, 0, 0, 255, 0, 0, 0)), "a.example"));
  assert.ok(allows(only(dns("example.com")), "spiffe://other.example/x"));
});

test("an IP subtree covers the addresses that agree under its mask", () => {
  const ten = only(ip(10, 1, 0, 0, 255, 255, 0, 0));
  assert.ok(allows(ten, [10, 1, 2, 3]));
  assert.not(allows(ten, [10, 2, 2, 3]));
  // An IPv6 address is not covered by an IPv4 subtree, so it is not permitted.
  assert.not(allows(ten, [...new Array<number>(10).fill(0), 255, 255, 10, 1, 2, 3]));
  assert.not(allows(not(ip(0, 0, 0, 0, 0, 0, 0, 0)), [1, 2, 3, 4]));
});

test("a URI subtree covers a host, or the hosts below it, and no URI without a host", () => {
  assert.ok(allows(only(uri("registry.example")), "spiffe://registry.example/x"));
  assert.not(allows(only(uri("registry.example")), "spiffe://a.registry.example/x"));
  assert.ok(allows(only(uri(".example")), "spiffe://registry.example/x"));
  assert.not(allows(only(uri(".example")), "spiffe://example/x"));
  for (const name of ["urn:uuid:1", "spiffe://registry.example:1/x", "mailto:a@registry.example"]) {
    assert.not(allows(only(uri("registry.example")), name));
    assert.not(allows(not(uri("other.example")), name));
  }
});

/** Returns the extension's value, as it is written to a certificate. */
function written(nameConstraints: NameConstraints): Uint8Array {
  const list = extensionsOf({ nameConstraints }, {
    subject: new Uint8Array(20),
    issuer: undefined,
  });
  return new Uint8Array(list.find(({ type }) => type === OID.nameConstraints)!.value);
}

test("readNameConstraints reads what is written into certificates", () => {
  const samples = [
    only(dns("a.example"), ip(1, 2, 3, 4, 255, 255, 255, 255)),
    not(uri(".b.example"), ip(...new Array<number>(32).fill(1))),
    { ...only(dns("a.example")), excluded: [dns("b.a.example")] },
  ];
  for (const constraints of samples) {
    assert.equal(readNameConstraints(written(constraints)), constraints);
  }
});

test.run();
