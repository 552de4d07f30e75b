import pulp

costs = [int(line) for line in open("costs.txt")]
problem = pulp.LpProblem("plan", pulp.LpMinimize)
x = [pulp.LpVariable(f"x{i}", 0, 10, cat="Integer") for i in range(len(costs))]
problem += pulp.lpDot(costs, x)
problem += pulp.lpSum(x) >= 15
problem.solve(pulp.PULP_CBC_CMD(msg=False))
print(pulp.value(problem.objective))
