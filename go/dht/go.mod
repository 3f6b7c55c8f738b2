module dht

go 1.19
