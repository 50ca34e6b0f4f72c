"""One of two peers that look for each other by ICE (aioice), candidates over netlab's exchange.

    netlab meet --a 'python3 ice_peer.py {name} {stun} {exchange}' \
                --b 'python3 ice_peer.py {name} {stun} {exchange}'
"""

import asyncio
import sys

import aioice


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


async def main(name, stun, exchange, turn=None):
    ice = aioice.Connection(ice_controlling=name == "a", stun_server=endpoint(stun))
    if turn:
        ice.turn_server = endpoint(stun)
        ice.turn_username, ice.turn_password = turn.split(":")
    await ice.gather_candidates()
    reader, writer = await asyncio.open_connection(*endpoint(exchange))
    lines = [
        ice.local_username,
        ice.local_password,
        *(c.to_sdp() for c in ice.local_candidates),
        "",
    ]
    writer.writelines(f"{line}\n".encode() for line in lines)
    ice.remote_username = (await reader.readline()).decode().strip()
    ice.remote_password = (await reader.readline()).decode().strip()
    while line := (await reader.readline()).decode().strip():
        await ice.add_remote_candidate(aioice.Candidate.from_sdp(line))
    await ice.add_remote_candidate(None)
    try:
        await ice.connect()
    except ConnectionError as error:
        sys.exit(str(error))
    await ice.send(f"hello from {name}".encode())
    print((await ice.recv()).decode(), flush=True)
    await asyncio.sleep(0.2)  # the other may still need an answer
    await ice.close()


asyncio.run(main(*sys.argv[1:]))
