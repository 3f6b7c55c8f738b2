"""One node, alone: it serves at once.

python basic_setup.py [ADDRESS [PORT]]
"""

import dht
from _arguments import address_and_port

node = dht.DHT(**address_and_port())
node.start()
print(f"started a node at {node.address}")

outcome = node.put("greeting", "hello")
print(f"stored greeting on {outcome.acks} of {outcome.set_size} replicas")

print(f"read greeting: {node['greeting']}")
assert node["greeting"] == "hello"

# A missing key is no error for `get`; for node[...] it is a KeyError.
print(f"read a missing key: {node.get('no such key', 'nothing')}")

assert node.delete("greeting")
print("deleted greeting")

# Hands over what only this node holds, if there are others, and says goodbye. A with statement does it by itself.
node.leave()
print("left")
