module dhtbench

go 1.19

require dht v0.0.0

replace dht => ../../../go/dht
