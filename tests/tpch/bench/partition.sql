select count(*) as n, sum(l_extendedprice) as revenue
from {partitioned}.lineitem
where l_shipmonth = '1995-03'
