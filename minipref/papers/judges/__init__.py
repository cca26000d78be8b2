"""Who judges, and can the judge be trusted?"""
