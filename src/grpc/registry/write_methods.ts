/** Registrations, renewals, reports and their ends. */
import type { MessageShape } from "@bufbuild/protobuf";
import type { RecordSchema } from "../../../schemas/proto/gen/crs/v1/records_pb.ts";
import { RECORD_CALLS } from "../../answers/record_calls.ts";
import { REGISTER_ITEMS_MAX, RENEW_ITEMS_MAX } from "../../base/limits.ts";
import type { RegisterItem, RegisterOutcome } from "../../client/mod.ts";
import { type KindCalls, registerFor, type RegisterForOptions } from "../../faces/register_for.ts";
import { type CallContext, callOptionsOf } from "../service.ts";
import { statusMessageOf } from "../status.ts";
import { positionMessage, receiptsOf, registrationMessage } from "./record_messages.ts";
import type { RegistryFunctions, RegistryParts } from "./registry_functions.ts";
import {
  agentInput,
  capacityOf,
  checkCount,
  gatewayInput,
  incarnationOf,
  invalidField,
  nameOf,
  positionOf,
  RECORD_KIND_NAMES,
  required,
} from "./request_fields.ts";

type RegisterFunctions = Pick<
  RegistryFunctions,
  | "registerAgent"
  | "registerGateway"
  | "registerMany"
>;
type RecordFunctions = Pick<
  RegistryFunctions,
  | "renew"
  | "deregisterAgent"
  | "deregisterGateway"
  | "reportAgent"
  | "reportGateway"
>;

/** Returns the functions that register. */
export function registerMethods({ region }: RegistryParts): RegisterFunctions {
  return {
    registerAgent: async ({ agent, ...request }, context) => {
      const input = agentInput(required(agent, "agent"), await region());
      const options = registerOptionsOf(request, context);
      const registered = await registerFor(context.client, RECORD_CALLS.agent, input, options);
      return { registration: registrationMessage(registered) };
    },
    registerGateway: async ({ gateway, ...request }, context) => {
      const input = gatewayInput(required(gateway, "gateway"), await region());
      const options = registerOptionsOf(request, context);
      // The calls of both kinds differ by their records alone.
      const calls = RECORD_CALLS.gateway as unknown as KindCalls;
      return {
        registration: registrationMessage(
          await registerFor(context.client, calls, input, options),
        ),
      };
    },
    registerMany: async ({ records, takeOver = true }, context) => {
      checkCount(records.length, REGISTER_ITEMS_MAX, "records");
      const own = await region();
      const items = records.map((record) => itemOf(record, own));
      const options = { ...callOptionsOf(context), takeOver };
      const outcomes = await context.client.registerMany(items, options);
      return {
        outcomes: await Promise.all(
          outcomes.map((outcome, index) => registeredOf(outcome, items[index]!, takeOver, context)),
        ),
      };
    },
  };
}

/** Returns the functions on records that are registered. */
export function recordMethods(): RecordFunctions {
  return {
    renew: async ({ items }, context) => {
      checkCount(items.length, RENEW_ITEMS_MAX, "items");
      const renewals = items.map(({ kind, id, incarnation }) => ({
        kind: required(nameOf(kind, RECORD_KIND_NAMES, "kind"), "kind"),
        id,
        incarnation: positionOf(required(incarnation, "incarnation"), "incarnation"),
      }));
      const renewed = await context.client.renew(renewals, callOptionsOf(context));
      const { renewAfterMs, failures } = renewed;
      return {
        renewed: renewed.renewed,
        ...(renewAfterMs === Infinity ? {} : { renewAfterMs }),
        failures: failures.map(({ position, error }) => (
          { index: position, error: statusMessageOf(error) }
        )),
      };
    },
    deregisterAgent: async ({ id, ...request }, context) => {
      const options = { ...callOptionsOf(context), ...incarnationOf(request) };
      const answer = await context.client.deregisterAgent(id, options);
      return { removed: answer.removed, ...receiptsOf(answer) };
    },
    deregisterGateway: async ({ id, withAgents, ...request }, context) => {
      const options = { ...callOptionsOf(context), ...incarnationOf(request), withAgents };
      const answer = await context.client.deregisterGateway(id, options);
      return { removed: answer.removed, ...receiptsOf(answer) };
    },
    reportAgent: async ({ id, draining, ...request }, context) => {
      const options = { ...callOptionsOf(context), ...incarnationOf(request), draining };
      const answer = await context.client.reportAgent(id, options);
      return { revision: positionMessage(answer.revision), ...receiptsOf(answer) };
    },
    reportGateway: async ({ id, draining, used, ...request }, context) => {
      const answer = await context.client.reportGateway(id, {
        ...callOptionsOf(context),
        ...incarnationOf(request),
        ...(draining === undefined ? {} : { draining }),
        ...(used === undefined ? {} : { used: capacityOf(used, "used") }),
      });
      return { revision: positionMessage(answer.revision), ...receiptsOf(answer) };
    },
  };
}

function registerOptionsOf(
  { expected, takeOver }: {
    readonly expected?: Parameters<typeof positionOf>[0] | undefined;
    readonly takeOver?: boolean | undefined;
  },
  context: CallContext,
): RegisterForOptions {
  return {
    ...callOptionsOf(context),
    ...(expected === undefined ? {} : { expected: positionOf(expected, "expected") }),
    ...(takeOver === undefined ? {} : { takeOver }),
  };
}

function itemOf({ record }: MessageShape<typeof RecordSchema>, region: string): RegisterItem {
  switch (record.case) {
    case "agent":
      return { kind: "agent", agent: agentInput(record.value, region) };
    case "gateway":
      return { kind: "gateway", gateway: gatewayInput(record.value, region) };
    case undefined:
      throw invalidField("records", "each be an agent or a gateway");
  }
}

/** Returns the outcome of one of many; a caller is no process that could have lost its record. */
async function registeredOf(
  outcome: RegisterOutcome,
  item: RegisterItem,
  takeOver: boolean,
  context: CallContext,
) {
  const { registered, error } = outcome;
  if (registered !== undefined) return registrationOutcome(registered);
  if (error.code !== "superseded" || !takeOver) return errorOutcome(error);
  const record = item.kind === "agent" ? item.agent : item.gateway;
  const calls = RECORD_CALLS[item.kind] as unknown as KindCalls;
  try {
    const options = { ...callOptionsOf(context), takeOver };
    return registrationOutcome(await registerFor(context.client, calls, record, options));
  } catch (thrown) {
    return errorOutcome(thrown);
  }
}

function registrationOutcome(registered: Parameters<typeof registrationMessage>[0]) {
  return {
    outcome: { case: "registration" as const, value: registrationMessage(registered) },
  };
}

function errorOutcome(error: unknown) {
  return { outcome: { case: "error" as const, value: statusMessageOf(error) } };
}
