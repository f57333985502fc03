/**
 * The steps of the Redis backend as Lua scripts, each of which Redis runs atomically.
 *
 * Redis' own clock (TIME) is the only one. An entry is live while its key exists; keys have millisecond
 * ttls, and the sorted sets that list them are scored by expiry. All keys share the hash tag of KEYS[1],
 * so in a Redis Cluster they lie in one slot; the keys of other agents and relays are found by reading.
 *
 *     {crs}:relay:<relay id>   hash: address, port, heartbeat, incarnation
 *     {crs}:relays             sorted set of relay ids
 *     {crs}:agent:<agent id>   hash: relay, incarnation, heartbeat
 *     {crs}:agents:<number>    sorted set of the agents placed at that incarnation of a relay
 *     {crs}:incarnations       counter
 *
 * Each incarnation has a number of its own, so an agent whose number differs from its relay's is gone.
 * Heartbeats begin with PEXPIRE, which Redis allows when it is out of memory, and Redis lets a script
 * that has written finish: a full Redis refuses new entries and keeps the ones it has.
 */

/** The prefix and hash tag of all keys. */
export const KEY_TAG = "{crs}";

/** ARGV[1] is the database: as the script selects it, a wrong one fails the call and nothing else. */
const PREAMBLE = `
local tag = KEYS[1]
if ARGV[1] ~= "0" then redis.call("SELECT", ARGV[1]) end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format("%.0f", number) end
local relaysKey = tag .. ":relays"
local function relayKey(id) return tag .. ":relay:" .. id end
local function agentKey(id) return tag .. ":agent:" .. id end
local function agentsKey(incarnation) return tag .. ":agents:" .. incarnation end
local function incarnationOf(relay) return redis.call("HGET", relayKey(relay), "incarnation") end
local function liveIds(key, countMax, ...)
  local above = "(" .. text(now)
  return redis.call("ZRANGEBYSCORE", key, above, "+inf", "LIMIT", 0, countMax, ...)
end
local function listUntil(key, ttl, id)
  redis.call("ZADD", key, text(now + ttl), id)
  redis.call("ZREMRANGEBYSCORE", key, "-inf", text(now))
end
local function listAgent(agent, incarnation, ttl)
  local key = agentsKey(incarnation)
  listUntil(key, ttl, agent)
  if redis.call("PTTL", key) < ttl then redis.call("PEXPIRE", key, ttl) end
end
`;

const script = (body: string): string => PREAMBLE + body;

/** relay id, address, port, ttl → 1 */
export const PUT_RELAY = script(`
local id, address, port, ttl = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local incarnation = incarnationOf(id) or text(redis.call("INCR", tag .. ":incarnations"))
redis.call("HSET", relayKey(id), "address", address, "port", port, "heartbeat", text(now),
  "incarnation", incarnation)
redis.call("PEXPIRE", relayKey(id), ttl)
listUntil(relaysKey, ttl, id)
return 1
`);

/** relay id, ttl → 1 if it is live */
export const RENEW_RELAY = script(`
local id, ttl = ARGV[2], tonumber(ARGV[3])
if redis.call("PEXPIRE", relayKey(id), ttl) == 0 then return 0 end
redis.call("HSET", relayKey(id), "heartbeat", text(now))
listUntil(relaysKey, ttl, id)
return 1
`);

/** agent id, relay id, ttl → 1 if the relay is live */
export const PLACE_AGENT = script(`
local agent, relay, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local incarnation = incarnationOf(relay)
if not incarnation then return 0 end
local before = redis.call("HGET", agentKey(agent), "incarnation")
redis.call("HSET", agentKey(agent), "relay", relay, "incarnation", incarnation,
  "heartbeat", text(now))
redis.call("PEXPIRE", agentKey(agent), ttl)
if before and before ~= incarnation then redis.call("ZREM", agentsKey(before), agent) end
listAgent(agent, incarnation, ttl)
return 1
`);

/** agent id, relay id or "" for any, ttl → 1 if the agent is live there */
export const RENEW_AGENT = script(`
local agent, wanted, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local relay, incarnation = unpack(redis.call("HMGET", agentKey(agent), "relay", "incarnation"))
if not relay or (wanted ~= "" and wanted ~= relay) then return 0 end
if incarnationOf(relay) ~= incarnation then return 0 end
redis.call("PEXPIRE", agentKey(agent), ttl)
redis.call("HSET", agentKey(agent), "heartbeat", text(now))
listAgent(agent, incarnation, ttl)
return 1
`);

/** count → relay id, address, port and heartbeat of each */
export const RELAYS = script(`
local found = {}
for _, id in ipairs(liveIds(relaysKey, ARGV[2])) do
  local address, port, heartbeat =
    unpack(redis.call("HMGET", relayKey(id), "address", "port", "heartbeat"))
  if address then
    for _, value in ipairs({ id, address, port, heartbeat }) do found[#found + 1] = value end
  end
end
return found
`);

/**
 * relay id or "" for all, count → relay id, and a list of agent id and expiry of each of its agents
 *
 * The members of an incarnation's set that are scored above now are exactly its live agents, so no
 * agent's own key is read, and the sets are returned as they are: otherwise Redis would be held up
 * several times as long.
 */
export const AGENTS = script(`
local wanted, left = ARGV[2], tonumber(ARGV[3])
local relays = wanted == "" and liveIds(relaysKey, -1) or { wanted }
local found = {}
for _, relay in ipairs(relays) do
  if left <= 0 then break end
  local incarnation = incarnationOf(relay)
  if incarnation then
    local agents = liveIds(agentsKey(incarnation), left, "WITHSCORES")
    found[#found + 1] = relay
    found[#found + 1] = agents
    left = left - #agents / 2
  end
end
return found
`);

/** agent id → agent id, relay id and heartbeat, or nothing */
export const PLACEMENT = script(`
local agent = ARGV[2]
local relay, incarnation, heartbeat =
  unpack(redis.call("HMGET", agentKey(agent), "relay", "incarnation", "heartbeat"))
if not relay or incarnationOf(relay) ~= incarnation then return {} end
return { agent, relay, heartbeat }
`);
