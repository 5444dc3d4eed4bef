select * from {database}.orders where o_orderkey = 3000001
