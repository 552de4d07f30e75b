import pandas

table = pandas.read_csv("table.csv")
table.groupby("key").sum().to_csv("sums.csv")
print(len(table))
