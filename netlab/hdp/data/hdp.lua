-- HDP for Wireshark and tshark: twelve octets of header, then data, under any protocol number.
--
--   tshark -X lua_script:hdp.lua -r run.pcapng
--   or: put this file into the folder "Personal Lua Plugins" of Help, About Wireshark, Folders
--
-- IP has no dissector for an unassigned number, so this one asks for all that have none, and for
-- 253 and 254 (RFC 3692). Numbers with a dissector keep it; Decode As, table ip.proto, changes that.

local hdp = Proto("hdp", "Hawzen Datagram Protocol")

local source_port = ProtoField.uint16("hdp.srcport", "Source Port")
local destination_port = ProtoField.uint16("hdp.dstport", "Destination Port")
local sent = ProtoField.absolute_time("hdp.sent", "Sent", base.UTC)
local latency = ProtoField.double("hdp.latency", "Latency in microseconds")
local data = ProtoField.bytes("hdp.data", "Data")
local short = ProtoExpert.new("hdp.short", "Shorter than an HDP header", expert.group.MALFORMED,
                              expert.severity.ERROR)

hdp.fields = { source_port, destination_port, sent, latency, data }
hdp.experts = { short }

local HEADER = 12
local SECOND = 1000000000

function hdp.dissector(buffer, packet, tree)
  packet.cols.protocol = "HDP"
  local branch = tree:add(hdp, buffer())
  if buffer:len() < HEADER then
    packet.cols.info = "HDP, cut short"
    branch:add_proto_expert_info(short)
    return buffer:len()
  end
  local nanoseconds = buffer(4, 8):uint64()
  local seconds, rest = (nanoseconds / SECOND):tonumber(), (nanoseconds % SECOND):tonumber()
  local took = (packet.abs_ts - seconds) * 1e6 - rest / 1e3
  branch:add(source_port, buffer(0, 2))
  branch:add(destination_port, buffer(2, 2))
  branch:add(sent, buffer(4, 8), NSTime.new(seconds, rest))
  branch:add(latency, took):set_generated()
  if buffer:len() > HEADER then
    branch:add(data, buffer(HEADER))
  end
  packet.cols.info = string.format("%d -> %d  %d octets, %.1f us", buffer(0, 2):uint(),
                                   buffer(2, 2):uint(), buffer:len() - HEADER, took)
  return buffer:len()
end

local numbers = DissectorTable.get("ip.proto")
for number = 0, 255 do
  if number >= 253 or not numbers:get_dissector(number) then
    numbers:add(number, hdp)
  end
end
