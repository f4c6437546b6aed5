int sum(int of)
{
    return of ? of + sum(of - 1) : 0;
}
