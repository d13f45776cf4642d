"""What came out, as data and as text."""


def data(chaos, *, minutes, seed):
    """Everything, for a program."""
    world, evidence, info = chaos.world, chaos.evidence, chaos.info
    memory = chaos.memory.figures()
    chaos.memory.judge(memory)
    for load in chaos.loads:
        # A load that did nothing has shown nothing.
        if load.acknowledged == 0 and load.name != "chores":
            world.problem(load.name, "nothing was acknowledged")
    if "cache" in memory["evicted keys"]:
        for name in ("cache", "volatile"):
            if memory["evicted keys"][name] == 0:
                world.problem("memory", f"nothing was evicted from {name}, so eviction was not tried")
    queues = {}
    for kind, acknowledged in sorted(evidence.acknowledged.items()):
        explained = evidence.explained.get(kind, {})
        queues[kind] = {"acknowledged": acknowledged, "ran": acknowledged - sum(explained.values()), **explained}
    errors = {name.split(": ")[1]: count for name, count in sorted(world.counts.items()) if name.startswith("connection error")}
    others = {name: count for name, count in sorted(world.counts.items()) if not name.startswith("connection error")}
    return {
        "verdict": "clean" if not world.problems else "problems",
        "server": f"{info.get('server_name') or 'redis'} {info.get('djr_version') or info.get('redis_version')}",
        "minutes": minutes,
        "seed": seed,
        "kills": chaos.kills,
        "workers that ended by themselves": chaos.workers_ended,
        "loads": {load.name: load.figures() for load in chaos.loads},
        "queues": queues,
        "lost while handed over": evidence.handed_over,
        "deaths of the server": [round(life.end, 2) for life in evidence.lives],
        "connection errors": errors,
        "counts": others,
        "memory, MiB": memory,
        "problems": world.problems,
    }


def text(found):
    """The same, for people."""
    lines = [
        f"soak of {found['server']}: {found['minutes']:g} minutes, seed {found['seed']}",
        "",
        "killed: " + ", ".join(f"{count} {name}" for name, count in found["kills"].items()),
        "",
        f"{'load':<20}{'acknowledged':>14}{'unknown':>9}{'cuts':>7}{'checks':>11}",
    ]
    for name, figures in found["loads"].items():
        row = (figures["acknowledged"], figures["outcome unknown"], figures["lost connections"], figures["checks"])
        lines.append(f"{name:<20}{row[0]:>14}{row[1]:>9}{row[2]:>7}{row[3]:>11}")
    lines += ["", f"{'queue':<20}{'acknowledged':>14}{'ran':>9}"]
    for kind, figures in found["queues"].items():
        lines.append(f"{kind:<20}{figures['acknowledged']:>14}{figures['ran']:>9}")
        lines += [f"    {count} did not: {why}" for why, count in figures.items() if why not in ("acknowledged", "ran")]
    for title in ("connection errors", "counts", "workers that ended by themselves", "memory, MiB"):
        lines += ["", f"{title}:"] + [f"    {name}: {value}" for name, value in found[title].items()]
    lines.append("")
    for problem in found["problems"]:
        lines.append(f"!! {problem['second']} s, {problem['where']}: {problem['what']}")
    lines.append(f"soak: {found['verdict']}, {len(found['problems'])} problems")
    return "\n".join(lines)
