# The commands that contributors use most. CONTRIBUTING.md explains them.
.PHONY: build run test load

build:
	dotnet build -c Release

# The demo: http://127.0.0.1:8080, dashboard http://127.0.0.1:9800
run:
	dotnet run --project src/Penstock -c Release -- demo

# All tests; installs what they need if it may.
test:
	./test.sh

# A ramp of 50 connections over 10 clients, against a demo that it starts unless one runs.
load:
	load/ramp.sh
