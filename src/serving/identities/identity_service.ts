/**
 * Identity service of a node, by subject: enrolment, tokens, capabilities and administration, on one
 * view of group 0. A grant is audited by the command that grants it; a refusal is not audited but counted.
 */
import { CapabilityService, type CapabilityServiceParts } from "./capability_service.ts";
import { EnrolmentService, type EnrolmentServiceParts } from "./enrolment_service.ts";
import { IdentityAdministration } from "./identity_administration.ts";
import { IdentityGroup, type IdentityGroupParts } from "./identity_group.ts";
import { TokenService } from "./token_service.ts";

/** Serves identities from the state of group 0. */
export class IdentityService {
  readonly group: IdentityGroup;
  readonly enrolment: EnrolmentService;
  readonly tokens: TokenService;
  readonly capabilities: CapabilityService;
  readonly administration: IdentityAdministration;

  constructor(parts: IdentityGroupParts & EnrolmentServiceParts & CapabilityServiceParts) {
    this.group = new IdentityGroup(parts);
    this.enrolment = new EnrolmentService(this.group, parts);
    this.tokens = new TokenService(this.group, parts);
    this.capabilities = new CapabilityService(this.group, parts);
    this.administration = new IdentityAdministration(this.group, parts.wall);
  }
}
